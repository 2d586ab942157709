"""Contours in the patient become voxels on any grid, to within a voxel of the analytic shape."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lnsegfm.base.errors import UserError
from lnsegfm.images.geometry import Geometry
from lnsegfm.research.datasets.contours import rasterise

IDENTITY = np.eye(3)
FLIPPED = np.diag([-1.0, 1.0, -1.0])
# Turned by 30 degrees about x, then by 20 about z.
OBLIQUE = np.array([[0.9397, -0.3420, 0], [0.3420, 0.9397, 0], [0, 0, 1]]) @ np.array(
    [[1, 0, 0], [0, 0.8660, -0.5], [0, 0.5, 0.8660]]
)
GRIDS = {"axial": IDENTITY, "flipped": FLIPPED, "oblique": OBLIQUE}
SIZE, SPACING = (40, 36, 14), (0.8, 1.1, 3.0)


def grid_of(direction: np.ndarray, spacing: tuple[float, float, float] = SPACING) -> Geometry:
    orthogonal, _ = np.linalg.qr(direction)
    orthogonal *= np.sign(np.diag(orthogonal.T @ direction))
    return Geometry(SIZE, spacing, (-31.4, 12.0, -512.25), tuple(orthogonal.ravel()))


def ellipse(centre: np.ndarray, radii: tuple[float, float], number: int, grid: Geometry) -> np.ndarray:
    """Return a contour on a slice, in mm; centre in indices, radii in mm, rounded as in DICOM files."""
    angle = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    x = centre[0] + radii[0] / grid.spacing[0] * np.cos(angle)
    y = centre[1] + radii[1] / grid.spacing[1] * np.sin(angle)
    return grid.positions(np.column_stack([x, y, np.full(120, float(number))])).round(2)


def rectangle(low: tuple[float, float], high: tuple[float, float], number: int, grid: Geometry) -> np.ndarray:
    corners = [(low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1])]
    return grid.positions(np.array([(x, y, number) for x, y in corners]))


def offsets_mm(grid: Geometry, centre: np.ndarray) -> np.ndarray:
    """Return distances of the voxel centres from a point, along the image axes, shape (z, y, x, 3)."""
    z, y, x = np.indices(grid.size[::-1])
    return (np.stack([x, y, z], axis=-1) - centre) * np.asarray(grid.spacing)


@pytest.mark.parametrize("name", GRIDS)
def test_an_ellipsoid_is_met_to_within_a_voxel(name: str) -> None:
    grid = grid_of(GRIDS[name])
    centre, radii = np.array([18.3, 17.1, 6.2]), (9.0, 11.0, 14.0)
    contours = []
    for number in range(grid.size[2]):
        shrink = 1 - ((number - centre[2]) * grid.spacing[2] / radii[2]) ** 2
        if shrink > 0.01:
            contours.append(ellipse(centre, (radii[0] * shrink**0.5, radii[1] * shrink**0.5), number, grid))
    found = rasterise(contours, grid)
    apart = offsets_mm(grid, centre)
    truth = (np.square(apart / radii)).sum(axis=-1) <= 1
    voxel = max(SPACING[:2])
    grown, shrunk = (
        np.square(apart / np.add(radii, (margin, margin, 0))).sum(axis=-1) <= 1 for margin in (voxel, -voxel)
    )
    assert not (found & ~grown).any() and not (shrunk & ~found).any()
    assert found.sum() == pytest.approx(truth.sum(), rel=0.02)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(sorted(GRIDS)), st.integers(2, 15), st.integers(2, 15), st.integers(1, 15), st.integers(1, 15),
    st.integers(0, 9), st.integers(1, 4), st.sampled_from([0.3, 1.0, 5.0]),
)  # fmt: skip
def test_a_box_between_voxels_is_met_exactly(
    name: str, left: int, top: int, width: int, height: int, first: int, depth: int, thickness: float
) -> None:
    grid = grid_of(GRIDS[name], (0.7, 1.3, thickness))
    low, high = (left - 0.5, top - 0.5), (left + width - 0.5, top + height - 0.5)
    found = rasterise([rectangle(low, high, number, grid) for number in range(first, first + depth)], grid)
    truth = np.zeros(grid.size[::-1], bool)
    truth[first : first + depth, top : top + height, left : left + width] = True
    assert np.array_equal(found, truth)


def test_an_inner_contour_and_a_keyhole_are_holes() -> None:
    grid = grid_of(IDENTITY)
    outer, inner = rectangle((4.5, 4.5), (20.5, 20.5), 3, grid), rectangle((9.5, 9.5), (14.5, 14.5), 3, grid)
    truth = np.zeros(grid.size[::-1], bool)
    truth[3, 5:21, 5:21] = True
    truth[3, 10:15, 10:15] = False
    assert np.array_equal(rasterise([outer, inner], grid), truth)
    keyhole = np.concatenate([outer, outer[:1], inner[[0, 3, 2, 1, 0]], outer[:1]])
    assert np.array_equal(rasterise([keyhole], grid), truth)


def test_an_island_in_a_hole_and_separate_contours_are_filled() -> None:
    grid = grid_of(FLIPPED)
    limits = ((1.5, 19.5), (4.5, 16.5), (8.5, 11.5), (23.5, 27.5))
    found = rasterise([rectangle((low, low), (high, high), 5, grid) for low, high in limits], grid)
    assert found.sum() == 18**2 - 12**2 + 3**2 + 4**2
    assert found[5, 10, 10] and not found[5, 7, 7] and found[5, 25, 25]


def test_a_contour_that_is_stored_twice_does_not_cancel_itself() -> None:
    grid = grid_of(IDENTITY)
    once = rectangle((4.5, 4.5), (8.5, 8.5), 3, grid)
    assert np.array_equal(rasterise([once, np.roll(once, 1, axis=0)], grid), rasterise([once], grid))


@pytest.mark.parametrize(
    ("shift", "numbers", "text"),
    [
        ((0.0, 0.0, 0.4), (3,), "between two slices"),
        ((30.0, 0.0, 0.0), (3,), "out of the CT"),
        ((0.0, 0.0, 12.0), (3,), "out of the CT"),
        ((0.0, 0.0, 0.0), (3, 5, 7), "3 slices, but never on two neighbouring"),
    ],
)
def test_contours_that_were_drawn_on_another_grid_are_refused(
    shift: tuple[float, float, float], numbers: tuple[int, ...], text: str
) -> None:
    grid = grid_of(OBLIQUE)
    moved = [rectangle((4.5, 4.5), (18.5, 18.5), number, grid) + grid.matrix @ shift for number in numbers]
    with pytest.raises(UserError, match=text):
        rasterise(moved, grid)


def test_contours_across_the_slices_are_refused() -> None:
    grid = grid_of(IDENTITY)
    sagittal = grid.positions(np.array([(5, 5, 2), (5, 12, 2), (5, 12, 6), (5, 5, 6)]))
    with pytest.raises(UserError, match="not parallel"):
        rasterise([sagittal], grid)


def test_no_contours_are_no_voxels() -> None:
    assert not rasterise([], grid_of(IDENTITY)).any()
