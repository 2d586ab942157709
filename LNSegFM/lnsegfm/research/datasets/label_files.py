"""Label images of any kind as one array of lymph nodes on the grid of their CT."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from lnsegfm.base.errors import UserError
from lnsegfm.cases.case_info import IGNORE
from lnsegfm.formats.given_files import check_file
from lnsegfm.images.input_options import ALL_VALUES, ONLY_CERTAIN, InputOptions
from lnsegfm.inputs.labels_on_ct import lymph_nodes_on
from lnsegfm.inputs.reading_apart import read_ct, read_labels
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
        nodes: Label values of lymph nodes; empty to tell by ``names`` and ``options``.
        ignore: Label value that says nothing is known of the voxel.
        names: Label values by name.
        options: What is known of the labels, or what the user says.
        root: The folder in which the files were found, out of which no link may lead.
    """

    name: str
    images: tuple[Path, ...]
    labels: tuple[Path, ...]
    missing: str = "There is no segmentation."
    merge: bool = False
    partial: bool = False
    nodes: frozenset[int] = frozenset()
    ignore: int | None = None
    names: Mapping[str, tuple[int, ...]] | None = None
    options: InputOptions = ONLY_CERTAIN
    root: Path | None = None

    def opened(self) -> FileCase:
        """Return itself: there is nothing to look into.

        Raises:
            UserError: A file may not be opened, see `lnsegfm.formats.given_files.check_file`.
        """
        for path in (*self.images, *self.labels):
            check_file(path, within=self.root)
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
        said: list[str] = []
        ct = read_ct(self.images[0], warnings=said, assume_hu=self.options.assume_hu)
        labels, done = labels_from_files(
            self.labels, ct, nodes=self.nodes, ignore=self.ignore, names=self.names, options=self.options
        )
        found = LabelledCt(ct, labels, [*said, *done])
        return as_partial(found) if self.partial else found


def labels_from_files(
    paths: Sequence[Path], ct: sitk.Image, *, nodes: Collection[int] = (), ignore: int | None = None,
    names: Mapping[str, tuple[int, ...]] | None = None, options: InputOptions = InputOptions(),
) -> tuple[np.ndarray, list[str]]:
    """Read label images and unite their lymph nodes on the grid of the CT.

    Args:
        paths: Label images; several layers in one file (overlapping segments of Slicer's ``.seg.nrrd``) are united.
        ct: The CT.
        nodes: Values that are lymph node; empty to tell by the names of the segments, ``names`` and ``options``.
        ignore: Value of voxels of which nothing is known.
        names: Values by name.
        options: What is known of the labels, or what the user says.

    Returns:
        Labels, uint8, shape (z, y, x) of the CT; and what was done, one sentence each.

    Raises:
        UserError: A file cannot be read, does not fit the CT, or it is not certain what is a lymph node.
    """
    result = np.zeros(ct.GetSize()[::-1], np.uint8)
    done = [f"{len(paths)} structures were merged."] if len(paths) > 1 else []
    if nodes:
        options = replace(options, values=",".join(map(str, sorted(nodes))))
    for path in paths:
        image = read_labels(path, done)
        placed = lymph_nodes_on(ct, image, options, names=names, ignore=ignore)
        done += [*_reduced(image), *placed.notes]
        if placed.seen is not None:
            result[~placed.seen & (result != NODE)] = IGNORE
        result[placed.array != 0] = NODE
    return result, list(dict.fromkeys(done))


def known_values(options: InputOptions) -> InputOptions:
    """Return the options for a dataset whose label files hold nothing but lymph nodes, whatever their values."""
    return options if options.values else replace(options, values=ALL_VALUES)


def as_partial(case: LabelledCt) -> LabelledCt:
    """Return a partially annotated case: what is not labelled may be lymph node or not."""
    labels = np.where(case.labels == NODE, NODE, IGNORE).astype(np.uint8)
    return LabelledCt(case.ct, labels, [*case.done, "All but the labelled lymph nodes was set to 'ignore'."])


def stem(path: Path) -> str | None:
    """Return the name of an image file without its ending, None where it is not one."""
    ending = next((each for each in IMAGE_ENDINGS if path.name.lower().endswith(each)), None)
    # What is no regular file is refused by name when the case is opened.
    return path.name[: -len(ending)] if ending and not path.is_dir() else None


def _reduced(image: sitk.Image) -> list[str]:
    layers = image.GetNumberOfComponentsPerPixel()
    if layers > 1:
        return [f"{layers} layers of segments were merged."]
    return ["Its label values were reduced to one."] if sitk.GetArrayViewFromImage(image).max() > 1 else []
