"""Label images of any kind as one array of lymph nodes on the grid of their CT."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from lnsegfm.base.errors import UserError
from lnsegfm.cases.case_info import IGNORE
from lnsegfm.images.geometry import Geometry, labels_on
from lnsegfm.images.label_grids import label_on_grid, seen_on_grid
from lnsegfm.inputs.reading import read_ct, read_labels
from lnsegfm.research.datasets.candidates import NODE, LabelledCt

IMAGE_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd", ".nhdr")


@dataclass(frozen=True)
class FileCase:
    """A candidate whose CT and labels are image files.

    Args:
        name: How the source calls it.
        images: Its CT; exactly one can be used.
        labels: Its label images.
        missing: What is said where ``labels`` is empty.
        merge: Several label images are structures of one CT, not rivals.
        partial: Only some lymph nodes are labelled; all else becomes `IGNORE`.
        nodes: Label values of lymph nodes; empty for all but 0 and ``ignore``.
        ignore: Label value that says nothing is known of the voxel.
    """

    name: str
    images: tuple[Path, ...]
    labels: tuple[Path, ...]
    missing: str = "There is no segmentation."
    merge: bool = False
    partial: bool = False
    nodes: frozenset[int] = frozenset()
    ignore: int | None = None

    def opened(self) -> FileCase:
        """Return itself: there is nothing to look into."""
        return self

    def sources(self) -> dict[str, Sequence[Path]]:
        """Return the files by role."""
        return {role: files for role, files in (("image", self.images), ("labels", self.labels)) if files}

    def load(self) -> LabelledCt:
        """Read CT and labels; see `Opened.load`."""
        if len(self.images) != 1:
            raise UserError(f"There are {len(self.images)} CTs of this name." if self.images else "There is no CT.")
        if not self.labels:
            raise UserError(self.missing)
        if len(self.labels) > 1 and not self.merge:
            raise UserError(f"There are {len(self.labels)} segmentations of this name.")
        ct = read_ct(self.images[0])
        labels, done = labels_from_files(self.labels, Geometry.of(ct), nodes=self.nodes, ignore=self.ignore)
        return as_partial(LabelledCt(ct, labels, done)) if self.partial else LabelledCt(ct, labels, done)


def labels_from_files(
    paths: Sequence[Path], grid: Geometry, *, nodes: Collection[int] = (), ignore: int | None = None
) -> tuple[np.ndarray, list[str]]:
    """Read label images and unite their lymph nodes on the grid of the CT.

    Args:
        paths: Label images; several layers in one file (overlapping segments of Slicer's ``.seg.nrrd``) are united.
        grid: Grid of the CT.
        nodes: Values that are lymph node; empty for all but 0 and ``ignore``.
        ignore: Value of voxels of which nothing is known.

    Returns:
        Labels, uint8, shape (z, y, x) of ``grid``; and what was done, one sentence each.

    Raises:
        UserError: A file cannot be read, or does not fit the CT.
    """
    result = np.zeros(grid.size[::-1], np.uint8)
    done = [f"{len(paths)} structures were merged."] if len(paths) > 1 else []
    for path in paths:
        image, sentences = _single_layer(read_labels(path))
        done += sentences
        if not Geometry.of(image).matches(grid):
            done.append("The labels lay on another grid and were brought onto that of the CT (nearest neighbour).")
        chosen = _only(image, nodes, ignore) if nodes else image
        if ignore is not None:
            result[~seen_on_grid(chosen, grid, ignore) & (result != NODE)] = IGNORE
        result[label_on_grid(chosen, grid, ignore=ignore) != 0] = NODE
    return result, list(dict.fromkeys(done))


def as_partial(case: LabelledCt) -> LabelledCt:
    """Return a partially annotated case: what is not labelled may be lymph node or not."""
    labels = np.where(case.labels == NODE, NODE, IGNORE).astype(np.uint8)
    return LabelledCt(case.ct, labels, [*case.done, "All but the labelled lymph nodes was set to 'ignore'."])


def stem(path: Path) -> str | None:
    """Return the name of an image file without its ending, None where it is not one."""
    ending = next((each for each in IMAGE_ENDINGS if path.name.lower().endswith(each)), None)
    return path.name[: -len(ending)] if ending and path.is_file() else None


def _single_layer(image: sitk.Image) -> tuple[sitk.Image, list[str]]:
    layers = image.GetNumberOfComponentsPerPixel()
    if image.GetDimension() != 3:
        # Left to `label_on_grid`, which says why it cannot be used.
        return image, []
    if layers > 1:
        foreground = np.any(sitk.GetArrayViewFromImage(image) != 0, axis=-1)
        return labels_on(image, foreground), [f"{layers} layers of segments were merged."]
    if sitk.GetArrayViewFromImage(image).max() > 1:
        return image, ["Its label values were reduced to one."]
    return image, []


def _only(image: sitk.Image, nodes: Collection[int], ignore: int | None) -> sitk.Image:
    """Return the label image without structures other than ``nodes``; ``ignore`` stays."""
    array = sitk.GetArrayViewFromImage(image)
    kept = np.isin(array, [*nodes, *([] if ignore is None else [ignore])])
    return labels_on(image, np.where(kept, array, 0))
