"""How well a segmentation agrees with the truth."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from lnsegfm.base.errors import UserError
from lnsegfm.images.geometry import Geometry
from lnsegfm.images.grids import spacing_zyx
from lnsegfm.images.volume_checks import check_volume

# A surface that lies at the tolerance counts, however its distance was rounded.
_ROUNDING_MM = 1e-6


def dice(pred: np.ndarray, truth: np.ndarray) -> float:
    """Return the Dice similarity coefficient of two masks of the same shape; 1 when both are empty.

    Raises:
        ValueError: The shapes differ.
    """
    pred, truth = _masks(pred, truth)
    total = np.count_nonzero(pred) + np.count_nonzero(truth)
    return 2.0 * np.count_nonzero(pred & truth) / total if total else 1.0


def nsd(
    pred: np.ndarray, truth: np.ndarray, spacing_zyx: tuple[float, float, float], tolerance_mm: float = 1.0
) -> float:
    """Return the normalised surface Dice: the share of both surfaces within ``tolerance_mm`` of the other.

    1 when both masks are empty, 0 when one is. A distance of 1e-6 mm above the tolerance still counts. Computed by
    DeepMind's surface-distance (Nikolov et al. 2021).

    Args:
        pred: Mask of shape (z, y, x).
        truth: Mask of the same shape.
        spacing_zyx: Voxel size in mm along (z, y, x).
        tolerance_mm: Distance in mm that counts as agreement.

    Raises:
        ValueError: The shapes differ.
    """
    pred, truth = _masks(pred, truth)
    if not pred.any() or not truth.any():
        return float(pred.any() == truth.any())
    # Imported here: only the evaluation needs it, and the modules must open where it is not installed yet.
    import surface_distance

    distances = surface_distance.compute_surface_distances(truth, pred, spacing_zyx)
    return float(surface_distance.compute_surface_dice_at_tolerance(distances, tolerance_mm + _ROUNDING_MM))


Scores = dict[str, float | None]


def score_case(pred: sitk.Image, truth: sitk.Image) -> Scores:
    """Compare two label images on the same grid; every voxel that is not 0 counts as lymph node.

    Returns:
        ``dsc`` (Dice) and ``nsd`` (normalised surface Dice at 1 mm; None where the library for it is not installed, so
        that a long job does not fail for want of a figure).

    Raises:
        UserError: Not 3D label images, or their grids differ.
    """
    for image in (pred, truth):
        check_volume(image)
    if not Geometry.of(pred).matches(Geometry.of(truth)):
        raise UserError(
            "The segmentation and the truth cannot be compared.",
            "They lie on different voxel grids.",
            "Resample one to the grid of the other first.",
        )
    found, wanted = (sitk.GetArrayViewFromImage(image) != 0 for image in (pred, truth))
    try:
        surface: float | None = nsd(found, wanted, spacing_zyx(truth))
    except ImportError:
        surface = None
    return {"dsc": dice(found, wanted), "nsd": surface}


def _masks(pred: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if pred.shape != truth.shape:
        raise ValueError(f"masks of shape {pred.shape} and {truth.shape} cannot be compared")
    return np.asarray(pred, bool), np.asarray(truth, bool)
