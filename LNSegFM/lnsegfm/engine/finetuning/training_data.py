"""Corrected cases, preprocessed with the base model's own plans for nnU-Net's data loader."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import blosc2
import numpy as np
import SimpleITK as sitk
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.training.dataloading import nnunet_dataset
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from lnsegfm.base import disk, schema
from lnsegfm.base.files import read_json, write_atomic, write_json
from lnsegfm.base.wording import data_size
from lnsegfm.cases.case_info import IGNORE
from lnsegfm.engine.networks.exact_resampling import with_exact_resampling
from lnsegfm.images.geometry import Geometry, labels_on
from lnsegfm.images.grids import spacing_zyx
from lnsegfm.images.label_grids import label_on_grid, seen_on_grid
from lnsegfm.images.orientation import reorient
from lnsegfm.inputs.label_reading import read_labels
from lnsegfm.inputs.reading import read_ct
from lnsegfm.lymph_nodes.vanishing import keep_lymph_nodes
from lnsegfm.models.grid_limits import check_voxels
from lnsegfm.models.model_facts import ModelFacts

# Before nnU-Net 2.8 a method of the class.
_block_sizes = getattr(nnunet_dataset, "comp_blosc2_params", None) or nnUNetDatasetBlosc2.comp_blosc2_params

_SLICES = 32  # that are compared at a time


@dataclass(frozen=True)
class TrainingCase:
    """One CT with the accepted label version that is to be learnt.

    Args:
        identifier: Our case id.
        image: CT file.
        label: Label file, 0 background, 1 lymph node.
        ignore: Value in the label file for what was not reviewed; it becomes `IGNORE`.
    """

    identifier: str
    image: Path
    label: Path
    ignore: int | None = None

    def read(self, orientation: str) -> tuple[sitk.Image, sitk.Image]:
        """Return CT and labels (0, 1, `IGNORE`) on one grid, in a voxel order.

        Raises:
            UserError: One of them cannot be read, or the label does not fit the CT.
        """
        image, label = read_ct(self.image, assume_hu=True), read_labels(self.label)
        grid = Geometry.of(image)
        array = label_on_grid(label, grid, ignore=self.ignore)
        if self.ignore is not None:
            array[~seen_on_grid(label, grid, self.ignore)] = IGNORE
        return reorient(image, orientation)[0], reorient(labels_on(image, array), orientation)[0]


class PreparedCases(nnUNetDatasetBlosc2):
    """nnU-Net's preprocessed cases without its pickles, which would run code of whoever wrote them."""

    def load_case(self, identifier: str) -> tuple[Any, Any, None, dict[str, Any]]:
        """Return image, labels (both compressed arrays, ``[1, z, y, x]``), None, and where each label lies."""
        folder, options = Path(self.source_folder), {"mode": "r", "dparams": {"nthreads": 1}, **self.mmap_kwargs}
        image, labels = (blosc2.open(str(folder / f"{identifier}{part}.b2nd"), **options) for part in ("", "_seg"))
        with np.load(folder / f"{identifier}.npz", allow_pickle=False) as stored:
            places = {_label_key(name): stored[name] for name in stored.files}
        return image, labels, None, {"class_locations": places}


def _label_key(name: str) -> Any:
    """nnU-Net's key of the voxels of a label: a number, or a tuple of numbers for all annotated voxels."""
    numbers = tuple(int(part) for part in name.split("_"))
    return numbers if name.count("_") else numbers[0]


def preprocess(
    cases: Iterable[TrainingCase],
    plans: PlansManager,
    configuration: str,
    dataset: dict[str, Any],
    orientation: str,
    folder: Path,
    report: Callable[[str], None],
) -> list[str]:
    """Write the cases into ``folder`` as nnU-Net's preprocessing would, without its process pool.

    Only a lymph node that has no voxel left at the model's spacing is kept where nnU-Net would make background of it,
    see `lnsegfm.lymph_nodes.vanishing`. Cases that an interrupted call has finished are not done again.

    Args:
        cases: What is to be prepared.
        plans: Plans of the base model: spacing, normalisation and intensity statistics are its own, not the cases'.
        configuration: nnU-Net configuration name.
        dataset: Content of ``dataset.json``.
        orientation: Voxel order of the model, see `lnsegfm.models.model_card.ModelCard`.
        folder: Existing folder, for these cases alone.
        report: Called with the id of the case that is being prepared.

    Returns:
        What the user should know of the lymph nodes that would have become background, a sentence each; also of
        the cases that an interrupted call has finished.

    Raises:
        UserError: An image that is not a CT, or that is too thin or too large at the model's spacing.
        OSError: The disk is full, or did not take a file whole.
    """
    facts = ModelFacts.read(plans.plans, dataset, configuration, (), orientation)
    notes: list[str] = []
    settings = with_exact_resampling(plans.get_configuration(configuration))
    preprocessor = DefaultPreprocessor(verbose=False)
    for case in cases:
        noted = folder / f"{case.identifier}.notes.json"
        said = _finished(folder / f"{case.identifier}.npz", noted)
        if said is not None:
            notes += said
            continue
        report(case.identifier)
        image, label = case.read(orientation)
        check_voxels(
            Geometry.of(image), sitk.GetArrayViewFromImage(image), facts, f"CT of the case '{case.identifier}'"
        )
        data, segmentation, properties = preprocessor.run_case_npy(
            sitk.GetArrayFromImage(image)[None].astype(np.float32),
            sitk.GetArrayFromImage(label)[None].astype(np.int16),
            {"spacing": list(spacing_zyx(image))},
            plans, settings, dataset,
        )
        segmentation = segmentation.astype(np.int16)
        kept = keep_lymph_nodes(label, segmentation, properties, plans.transpose_forward)
        if kept:
            properties["class_locations"] = _class_locations(segmentation, plans, dataset)
        said = [f"{case.identifier}: {each.words(facts.spacing)}" for each in kept]
        notes += said
        write_json(noted, said)
        _save(data, segmentation, properties, settings.patch_size, folder / case.identifier)
    return notes


def _finished(path: Path, noted: Path) -> list[str] | None:
    """What an interrupted call said of a case that it finished; None when the case is to be done, or done again."""
    if not path.is_file():
        return None
    try:
        return schema.read(list[str], read_json(noted))
    except FileNotFoundError:
        return []  # a case of an earlier version
    except (OSError, ValueError):
        return None


def _class_locations(segmentation: np.ndarray, plans: PlansManager, dataset: dict[str, Any]) -> dict[Any, Any]:
    """Return where each label lies, as nnU-Net's preprocessing samples it; for labels that were changed afterwards."""
    labels = plans.get_label_manager(dataset)
    wanted: list[Any] = list(labels.foreground_labels)
    if labels.has_ignore_label:
        wanted.append([-1, *labels.all_labels])
    places: dict[Any, Any] = DefaultPreprocessor._sample_foreground_locations(segmentation, wanted)
    return places


def _save(
    data: np.ndarray, segmentation: np.ndarray, properties: dict[str, Any], patch_size: Iterable[int], path: Path
) -> None:
    blocks, chunks = _block_sizes(data.shape, tuple(patch_size), data.itemsize)
    label_blocks, label_chunks = _block_sizes(segmentation.shape, tuple(patch_size), segmentation.itemsize)
    parts = {path.with_name(f"{path.name}.b2nd"): data, path.with_name(f"{path.name}_seg.b2nd"): segmentation}
    for part in parts:
        disk.remove_tree(part)  # half of it, from a call that was interrupted
        disk.reached("write", part)
    try:
        nnUNetDatasetBlosc2.save_case(
            data, segmentation, {}, str(path), chunks=chunks, blocks=blocks,
            chunks_seg=label_chunks, blocks_seg=label_blocks,
        )
    except RuntimeError as error:
        raise _torn(path, data.nbytes + segmentation.nbytes) from error
    disk.remove_file(path.with_suffix(".pkl"))
    for part, array in parts.items():
        disk.sync_file(part)
        if not _holds(part, array):
            raise _torn(part, array.nbytes)
    places = {
        "_".join(map(str, key)) if isinstance(key, (tuple, list)) else str(key): np.asarray(value)
        for key, value in properties["class_locations"].items()
    }
    # Last, because it says that the case is complete.
    save: Any = np.savez
    write_atomic(path.with_name(f"{path.name}.npz"), lambda temporary: save(temporary, **places))


def _holds(path: Path, array: np.ndarray) -> bool:
    """Whether a file holds an array: blosc2 does not say when a disk has taken a part of it only."""
    try:
        stored = blosc2.open(str(path), mode="r", dparams={"nthreads": 1})
        return stored.shape == array.shape and all(
            np.array_equal(stored[:, first : first + _SLICES], array[:, first : first + _SLICES], equal_nan=True)
            for first in range(0, array.shape[1], _SLICES)
        )
    except (RuntimeError, ValueError, OSError):
        return False


def _torn(path: Path, size: int) -> OSError:
    full = shutil.disk_usage(path.parent).free < size
    return OSError(
        errno.ENOSPC if full else errno.EIO, f"The disk did not take it whole ({data_size(size)} at most)", str(path)
    )
