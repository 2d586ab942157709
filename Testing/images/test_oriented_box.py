"""Boxes at any angle and the voxels in them, against the plain definition."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from lnsegfm.base.errors import UserError
from lnsegfm.images.geometry import Geometry
from lnsegfm.images.oriented_box import OrientedBox

angle = st.floats(-3.1, 3.1)
length = st.floats(0.6, 4.0)


def rotation(turns: tuple[float, float, float]) -> np.ndarray:
    return np.reshape(sitk.Euler3DTransform((0, 0, 0), *turns).GetMatrix(), (3, 3))


@st.composite
def grids(draw: st.DrawFn) -> Geometry:
    axes = rotation(draw(st.tuples(angle, angle, angle))) * draw(st.sampled_from([(1, 1, 1), (-1, 1, 1), (1, -1, -1)]))
    spacing = draw(st.tuples(length, length, length))
    return Geometry(draw(st.tuples(*[st.integers(3, 9)] * 3)), spacing, (-30.0, 12.5, 400.0), tuple(axes.ravel()))


@st.composite
def boxes(draw: st.DrawFn, grid: Geometry) -> OrientedBox:
    to_ras = np.eye(4)
    half = np.array(draw(st.tuples(*[st.floats(1.0, 12.0)] * 3)))
    to_ras[:3, :3] = rotation(draw(st.tuples(angle, angle, angle))) * half
    corner = np.array(draw(st.tuples(*[st.floats(0.0, 1.0)] * 3))) * (np.asarray(grid.size) - 1)
    to_ras[:3, 3] = grid.positions(corner[None])[0] * (-1, -1, 1)
    return OrientedBox(to_ras)


def inside(box: OrientedBox, grid: Geometry) -> np.ndarray:
    """The definition: which voxel centres have all three coordinates of the box between -1 and 1."""
    indices = np.argwhere(np.ones(grid.size[::-1], bool))
    ras = grid.positions(indices[:, ::-1]) * (-1, -1, 1)
    local = np.linalg.solve(box.to_ras[:3, :3], (ras - box.to_ras[:3, 3]).T).T
    return (np.abs(local) <= 1 + 1e-9).all(axis=1).reshape(grid.size[::-1])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_mask_and_index_box_follow_the_definition(data: st.DataObject) -> None:
    grid = data.draw(grids())
    box = data.draw(boxes(grid))
    expected = inside(box, grid)
    if not expected.any():
        return
    np.testing.assert_array_equal(box.mask(grid), expected)
    i0, i1, j0, j1, k0, k1 = box.index_box(grid)
    outside = expected.copy()
    outside[k0:k1, j0:j1, i0:i1] = False
    assert not outside.any()


def test_faces_through_voxel_centres_take_them_in() -> None:
    grid = Geometry((9, 9, 9), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    to_ras = np.diag([2.0, 1.0, 3.0, 1.0])
    to_ras[:3, 3] = (-4.0, -4.0, 4.0)
    assert OrientedBox(to_ras).index_box(grid) == (2, 7, 3, 6, 1, 8)
    assert OrientedBox(to_ras).mask(grid).sum() == 5 * 3 * 7


@pytest.mark.parametrize(
    ("centre", "half"), [((500.0, 0.0, 0.0), 2.0), ((-4.5, -4.5, 4.5), 0.2), ((-4.0, -4.0, 4.0), 0.0)]
)
def test_box_without_voxels_is_refused(centre: tuple[float, ...], half: float) -> None:
    grid = Geometry((9, 9, 9), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    to_ras = np.diag([half, half, half, 1.0])
    to_ras[:3, 3] = centre
    with pytest.raises(UserError, match="region"):
        OrientedBox(to_ras).index_box(grid)
