"""Where the patient is in a CT: apart from the air around, from the couch and from what holds the head."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import SimpleITK as sitk

from lnsegfm.images.boxes import Box
from lnsegfm.images.geometry import Geometry
from lnsegfm.images.orientation import AxisMap, axis_map

_TISSUE_HU = -300.0
# Fine enough for a crop with a margin and for the body's middle, and a scan of 512x512x300 voxels takes a moment only.
_SAMPLE_MM = 4.0
# The shells of couches and masks are thinner than twice this, and what lies on them often touches them.
_OPENING_MM = 6.0
# Airways lie so close below the skin that the opening would take the skin away; the inside of a couch is larger.
_LARGEST_AIRWAY_MM2 = 2000.0
# The opening takes the tips of nose and ears, too.
_MARGIN_MM = 20.0
# Where only the legs are in the scan, both count.
_PART_OF_LARGEST = 0.5
# An arm or a shoulder that the field of view cuts off is thicker than this, the solid board of a couch is not.
_LIMB_MM = 40.0
# The outline is known to one step of the coarse grid.
_OUTLINE_STEPS = 1


@dataclass(frozen=True, eq=False)
class Body:
    """The patient on a coarse grid, in the axis order closest to LPS.

    Args:
        mask: bool, shape (z, y, x), holes filled in each axial slice.
        tissue: The same with the patient's other parts: whatever is as thick as a limb, such as a separate arm.
        grid: Its grid.
        steps: Voxels (x, y, z) of the CT, in the same axis order, for one of the mask.
        has_air: Whether anything in the CT is less dense than tissue.
        like: The grid of the CT as it is stored.
        axes: How to get from there to this axis order.
    """

    mask: np.ndarray
    tissue: np.ndarray
    grid: Geometry
    steps: tuple[int, int, int]
    has_air: bool
    like: Geometry
    axes: AxisMap

    def midline_r(self, point_ras: tuple[float, float, float]) -> float | None:
        """Return the R coordinate (mm) that halves the body in the axial slice of a point; None outside of the body."""
        offset = np.asarray(point_ras) * (-1.0, -1.0, 1.0) - self.grid.origin
        level = round(float(np.linalg.solve(self.grid.matrix, offset)[2]))
        if not 0 <= level < len(self.mask):
            return None
        y, x = np.nonzero(self.mask[level])
        if not len(x):
            return None
        # The median: an arm at the side, or a part outside of the field of view, moves it less than the mean.
        return -float(np.median(self.grid.positions(np.column_stack([x, y, np.full(len(x), level)]))[:, 0]))

    def holds(self, positions: np.ndarray) -> np.ndarray:
        """Tell which positions lie in the patient or so close to the skin that this grid cannot tell.

        Args:
            positions: LPS in mm, shape (n, 3).

        Returns:
            bool, shape (n,).
        """
        indices = (np.asarray(positions) - self.grid.origin) @ np.linalg.inv(self.grid.matrix).T
        x, y, z = np.clip(np.rint(indices).astype(int), 0, np.asarray(self.grid.size) - 1).T
        return np.asarray(self._surely_around[z, y, x])

    @cached_property
    def _surely_around(self) -> np.ndarray:
        image = sitk.GetImageFromArray(self.tissue.astype(np.uint8))
        return sitk.GetArrayFromImage(sitk.BinaryDilate(image, [_OUTLINE_STEPS] * 3, sitk.sitkBox)) > 0


def find_body(ct: sitk.Image) -> Body | None:
    """Find the patient: what is denser than -300 HU, not thin as a couch's shell, and connected.

    Args:
        ct: 3D CT in HU.

    Returns:
        None where there is no such thing.

    Raises:
        UserError: The grid is sheared.
    """
    return find_body_in(sitk.GetArrayViewFromImage(ct), Geometry.of(ct))


def find_body_in(ct: np.ndarray, like: Geometry) -> Body | None:
    """Find the patient as `find_body` does, in the voxels of a CT of which only a part is read.

    Args:
        ct: HU, shape (z, y, x).
        like: Its grid.

    Raises:
        UserError: The grid is sheared.
    """
    axes = axis_map(like.direction)
    fine = axes.apply_geometry(like)
    x, y, z = (max(1, int(_SAMPLE_MM / spacing)) for spacing in fine.spacing)
    dense = axes.apply(ct)[::z, ::y, ::x] > _TISSUE_HU
    spacing = (fine.spacing[0] * x, fine.spacing[1] * y, fine.spacing[2] * z)
    size = (dense.shape[2], dense.shape[1], dense.shape[0])
    grid = Geometry(size, spacing, fine.origin, fine.direction)
    radius = [round(_OPENING_MM / step) for step in spacing[:2]]
    airway = int(_LARGEST_AIRWAY_MM2 / (spacing[0] * spacing[1]))
    closed = np.stack([_filled(level, airway) for level in dense])
    opened = sitk.BinaryMorphologicalOpening(sitk.GetImageFromArray(closed.astype(np.uint8)), [*radius, 0])
    regions = sitk.GetArrayFromImage(sitk.ConnectedComponent(opened))
    counts = np.bincount(regions.ravel())
    counts[0] = 0
    if not counts.any():
        return None
    body = (counts >= _PART_OF_LARGEST * counts.max())[regions]
    filled = np.stack([_filled(level) for level in body])
    limbs = _limbs(regions, body, spacing)
    tissue = filled | np.stack([_filled(level) for level in limbs]) if limbs.any() else filled
    return Body(filled, tissue, grid, (x, y, z), not dense.all(), like, axes)


def _limbs(regions: np.ndarray, body: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """Return the regions beside the body that are as thick as a limb, bool of shape (z, y, x)."""
    others = (regions > 0) & ~body
    if not others.any():
        return others
    radius = [max(1, round(_LIMB_MM / 2 / step)) for step in spacing[:2]]
    core = sitk.GetArrayFromImage(sitk.BinaryErode(sitk.GetImageFromArray(others.astype(np.uint8)), [*radius, 0])) > 0
    return np.isin(regions, np.unique(regions[core]))


def body_box(ct: sitk.Image) -> Box:
    """Return the box around the patient and a margin of 20 mm, on the CT's grid as it is stored.

    Where no body is found, as in an image whose values are not HU, it is the whole image.

    Args:
        ct: 3D CT in HU.
    """
    body = find_body(ct)
    if body is None:
        i, j, k = ct.GetSize()
        return 0, i, 0, j, 0, k
    fine = body.axes.apply_geometry(body.like)
    limits = [(0, 0)] * 3
    for axis in range(3):
        others = tuple(2 - other for other in range(3) if other != axis)
        occupied = np.flatnonzero(body.mask.any(axis=others))
        margin = int(np.ceil(_MARGIN_MM / fine.spacing[axis]))
        # The body ends somewhere between two samples.
        low = max(int(occupied[0] - 1) * body.steps[axis] + 1 - margin, 0)
        high = min(int(occupied[-1] + 1) * body.steps[axis] + margin, fine.size[axis])
        stored = body.axes.permutation[axis]
        limits[stored] = (fine.size[axis] - high, fine.size[axis] - low) if body.axes.flips[axis] else (low, high)
    (i0, i1), (j0, j1), (k0, k1) = limits
    return i0, i1, j0, j1, k0, k1


def _filled(level: np.ndarray, largest: int | None = None) -> np.ndarray:
    """Return one slice, bool of shape (y, x), without its holes, or only without those of so many voxels at most."""
    filled = sitk.GetArrayFromImage(sitk.BinaryFillhole(sitk.GetImageFromArray(level.astype(np.uint8)))) > 0
    if largest is None:
        return filled
    holes = sitk.GetArrayFromImage(sitk.ConnectedComponent(sitk.GetImageFromArray((filled & ~level).astype(np.uint8))))
    small = np.bincount(holes.ravel()) <= largest
    small[0] = False
    return level | small[holes]
