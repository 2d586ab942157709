"""Scores of predicted labels against the truth, per case and over a cohort."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from lnsegfm.base.errors import UserError
from lnsegfm.evaluation.detection import SIZE_BINS, Detection, NodeCounts, detect
from lnsegfm.evaluation.label_pairs import LabelPairs, read_structure
from lnsegfm.evaluation.metrics import dice, nsd
from lnsegfm.images.geometry import Geometry, labels_on
from lnsegfm.images.input_options import InputOptions, Placement
from lnsegfm.images.label_grids import find_place, label_on_grid, seen_on_grid
from lnsegfm.images.label_placement import placement_error
from lnsegfm.inputs.dataset_labels import DatasetLabels
from lnsegfm.inputs.label_structures import NOT_SEEN, choose_lymph_nodes

_PLACES = {
    "rounded": "The prediction's header differs from the truth's by less than a quarter of a voxel; the truth's was "
               "taken.",
    "shared": "The prediction lay on another grid that shares the truth's voxels, and each was put into its own.",
}


@dataclass(frozen=True)
class Settings:
    """How predictions are compared.

    Args:
        tolerance_mm: Distance in mm up to which surfaces agree, for the NSD.
        overlap: Share of a region's voxels that must be covered for a match; see `detect`.
        label: The one value that is lymph node; None to tell by ``values``.
        ignore: Value of the truth's voxels that are left out of both masks.
        channel: Volume to take of files that hold several; see `read_structure`.
        resample: Bring a prediction on another grid onto that of the truth (nearest neighbour) instead of refusing it.
        values: The values in files that are lymph node, see `lnsegfm.images.input_options.InputOptions`.
        placement: What is said of predictions on another grid, see there; ``own`` is the same as ``resample``.

    Raises:
        UserError: A value makes no sense, or ``values`` is given together with ``label`` or ``channel``.
    """

    tolerance_mm: float = 1.0
    overlap: float = 0.0
    label: int | None = None
    ignore: int | None = None
    channel: int | None = None
    resample: bool = False
    values: str = ""
    placement: Placement = "certain"

    def __post_init__(self) -> None:
        InputOptions(self.placement, self.values)
        if not (math.isfinite(self.tolerance_mm) and self.tolerance_mm >= 0):
            raise UserError(f"The tolerance cannot be {self.tolerance_mm} mm.", todo="Choose 0 mm or more.")
        if not 0 <= self.overlap <= 1:
            raise UserError(f"The overlap cannot be {self.overlap}.", "It is a share.", "Choose a number from 0 to 1.")
        for value in (self.label, self.ignore):
            if value is not None and value < 1:
                raise UserError(f"The label cannot be {value}.", "0 is the background.", "Choose 1 or more.")
        if self.values and (self.label is not None or self.channel is not None):
            raise UserError(
                f"--label-values cannot be combined with --{'label' if self.label is not None else 'channel'}.",
                "Each says by itself which voxels are lymph node.", "Give one of them.",
            )
        if self.label is not None and self.label == self.ignore:
            raise UserError(f"The label {self.label} cannot be evaluated.", "It is the one that is to be ignored.")


@dataclass(frozen=True)
class CaseResult:
    """What one prediction is worth.

    Args:
        dsc: Dice similarity coefficient, 0 to 1.
        nsd: Normalised surface Dice at the tolerance, 0 to 1.
        truth_mm3: Volume of the truth.
        predicted_mm3: Volume of the prediction.
        ignored_voxels: Number of voxels that were left out.
        is_resampled: Whether the prediction lay on another grid.
        detection: The lymph nodes.
        values: The values that were taken for lymph node, of both files.
        notes: What of the files was taken for lymph node and what was left out.
    """

    dsc: float
    nsd: float
    truth_mm3: float
    predicted_mm3: float
    ignored_voxels: int
    is_resampled: bool
    detection: Detection
    values: frozenset[int]
    notes: tuple[str, ...] = ()

    @property
    def empty(self) -> str:
        """Which masks have no voxel, so that the scores are a convention: "both", "truth", "prediction" or ""."""
        empty = (not self.truth_mm3, not self.predicted_mm3)
        return {(True, True): "both", (True, False): "truth", (False, True): "prediction"}.get(empty, "")


@dataclass(frozen=True)
class Evaluation:
    """The results of a cohort.

    Args:
        settings: How they were made.
        cases: By name.
        refused: By name, why a case could not be evaluated.
        missing_predictions: Cases with a truth alone.
        missing_truths: Cases with a prediction alone.
    """

    settings: Settings
    cases: dict[str, CaseResult]
    refused: dict[str, str] = field(default_factory=dict)
    missing_predictions: tuple[str, ...] = ()
    missing_truths: tuple[str, ...] = ()

    def mean_sd(self, metric: str) -> tuple[float, float | None]:
        """Return the mean of "dsc" or "nsd" over the cases and its sample standard deviation (None for one case)."""
        scores = [getattr(case, metric) for case in self.cases.values()]
        return statistics.fmean(scores), statistics.stdev(scores) if len(scores) > 1 else None

    def node_counts(self) -> dict[str, NodeCounts]:
        """Return the counts by size bin, and of "all" last."""
        detections = [case.detection for case in self.cases.values()]
        counts = {text: NodeCounts.of(detections, size_class=name) for name, text in SIZE_BINS.items()}
        return {**counts, "all": NodeCounts.of(detections)}


def evaluate(
    pairs: LabelPairs, settings: Settings, *, progress: Callable[[int, str], None] | None = None
) -> Evaluation:
    """Evaluate all pairs; one that is refused is reported, the others are evaluated.

    Args:
        pairs: The files.
        settings: How to compare them.
        progress: Called with the number of cases done and the name of the next.

    Raises:
        UserError: Not one case could be evaluated.
    """
    cases: dict[str, CaseResult] = {}
    refused: dict[str, str] = {}
    for number, (name, (pred, truth)) in enumerate(pairs.matched.items()):
        if progress is not None:
            progress(number, name)
        try:
            notes: list[str] = []
            found = _structure(pred, "prediction", settings, notes)
            wanted = _structure(truth, "truth", settings, notes)
            result = evaluate_case(found, wanted, settings)
            cases[name] = replace(result, notes=(*notes, *result.notes))
        except UserError as error:
            refused[name] = str(error)
    if not cases:
        raise UserError(
            "No case could be evaluated.", " ".join(f"{name}: {why}" for name, why in list(refused.items())[:3])
        )
    return Evaluation(settings, cases, refused, pairs.missing_predictions, pairs.missing_truths)


def evaluate_case(pred: sitk.Image, truth: sitk.Image, settings: Settings) -> CaseResult:
    """Compare a prediction with the truth.

    Args:
        pred: 3D label image.
        truth: 3D label image, on the same grid unless ``settings.resample``.
        settings: How to compare them.

    Raises:
        UserError: Not 3D images of whole numbers, other grids, or the library for the NSD is missing.
    """
    grid, own = Geometry.of(truth), Geometry.of(pred)
    wanted, found = _mask(truth, settings), _mask(pred, settings)
    values = _values(truth, wanted) | _values(pred, found)
    place = find_place(own, grid, "own" if settings.resample else settings.placement)
    is_resampled = place in ("own", "ct")
    if place != "same":
        found = _on_grid(pred, found, grid, settings)
    seen = np.ones_like(wanted) if settings.ignore is None else seen_on_grid(truth, grid, settings.ignore)
    found = found & seen
    try:
        surface = nsd(found, wanted, grid.spacing[::-1], settings.tolerance_mm)
    except ImportError as error:
        raise UserError("The NSD cannot be computed.", f"{error}.", "Type: pip install surface-distance") from error
    voxel_mm3 = math.prod(grid.spacing)
    return CaseResult(
        dsc=dice(found, wanted),
        nsd=surface,
        truth_mm3=int(np.count_nonzero(wanted)) * voxel_mm3,
        predicted_mm3=int(np.count_nonzero(found)) * voxel_mm3,
        ignored_voxels=int(np.count_nonzero(~seen)),
        is_resampled=is_resampled,
        detection=detect(labels_on(truth, found), labels_on(truth, wanted), overlap=settings.overlap),
        values=values,
        notes=(_PLACES[place],) if place in _PLACES else (),
    )


def _structure(path: Path, role: str, settings: Settings, notes: list[str]) -> sitk.Image:
    """Read the lymph nodes of a label file with their own values, and `Settings.ignore`; all else becomes 0."""
    said: list[str] = []
    image = read_structure(path, settings.channel, said)
    notes.extend(f"{role.capitalize()}: {note}" for note in said)
    if settings.label is not None or settings.channel is not None:
        return image
    names = _names_beside(path)
    try:
        chosen = choose_lymph_nodes(
            image, InputOptions(values=settings.values), names=names, ignore=settings.ignore
        )
    except UserError as error:
        raise UserError(f"{error.what[:-1]} ({role}).", error.why, error.todo) from error
    notes.extend(f"{role.capitalize()}: {note}" for note in chosen.notes)
    kinds, values = sitk.GetArrayViewFromImage(chosen.image), sitk.GetArrayViewFromImage(image)
    kept = np.where(kinds == 1, values if values.shape == kinds.shape else 1, 0).astype(np.int32)
    kept[kinds == NOT_SEEN] = settings.ignore or 0
    return Geometry.of(chosen.image).put_on(sitk.GetImageFromArray(kept))


def _names_beside(path: Path) -> Mapping[str, tuple[int, ...]] | None:
    try:
        named = DatasetLabels.beside(path)
    except UserError:
        # Refused by `find_ignore_label`, unless the user gave the value that is to be ignored.
        return None
    return None if named is None else named.structures


def _mask(labels: sitk.Image, settings: Settings) -> np.ndarray:
    # On its own grid nothing moves; what is refused there (no whole numbers, no 3D volume) is refused here.
    foreground = label_on_grid(labels, Geometry.of(labels), ignore=settings.ignore).astype(bool)
    return foreground if settings.label is None else sitk.GetArrayViewFromImage(labels) == settings.label


def _values(labels: sitk.Image, mask: np.ndarray) -> frozenset[int]:
    return frozenset(np.unique(sitk.GetArrayViewFromImage(labels)[mask]).astype(int).tolist())


def _on_grid(pred: sitk.Image, mask: np.ndarray, grid: Geometry, settings: Settings) -> np.ndarray:
    own = Geometry.of(pred)
    placement: Placement = "own" if settings.resample else settings.placement
    if find_place(own, grid, placement) == "uncertain":
        uncertain = own.size == grid.size
        seen = placement_error(mask.astype(np.uint8), own, grid, None).why.replace("CT", "truth") if uncertain else ""
        raise UserError(
            "The prediction and the truth lie on different voxel grids.",
            f"Prediction: {_described(own)}; truth: {_described(grid)}. {seen}".strip(),
            "Add --resample to bring the prediction onto the truth's grid (nearest neighbour)"
            + (", or --label-grid ct to take its voxels with the truth's header." if uncertain else "."),
        )
    try:
        return label_on_grid(labels_on(pred, mask), grid, placement=placement).astype(bool)
    except UserError as error:
        raise UserError("The prediction cannot be brought onto the truth's grid.", error.why) from error


def _described(grid: Geometry) -> str:
    def numbers(values: tuple[float, ...]) -> str:
        return ", ".join(f"{value:.6g}" for value in values)

    return (f"{' x '.join(map(str, grid.size))} voxels of {numbers(grid.spacing)} mm, "
            f"origin ({numbers(grid.origin)}), direction ({numbers(grid.direction)})")  # fmt: skip
