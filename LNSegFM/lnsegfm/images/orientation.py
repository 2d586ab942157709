"""Bringing a volume to a voxel order by flips and a permutation of its axes, and back, without resampling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
import SimpleITK as sitk

from lnsegfm.base.errors import UserError
from lnsegfm.images.geometry import Geometry
from lnsegfm.images.volume_checks import check_direction, check_volume

# Far above the rounding of stored directions (1e-6 in DICOM, 1e-7 in NIfTI), far below an angle that matters.
TIE_TOLERANCE = 1e-4
_AXIS_OF_LETTER = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "S": (2, 1), "I": (2, -1)}


@dataclass(frozen=True)
class AxisMap:
    """One of the 48 ways to store the same voxels in another axis order.

    Args:
        permutation: By new image axis (x, y, z): the old image axis it is taken from.
        flips: By new image axis: whether it runs against that old axis.
    """

    permutation: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    def apply(self, array: np.ndarray) -> np.ndarray:
        """Return a view of an array of shape (z, y, x) in the new order."""
        return np.flip(array.transpose(self._array_permutation), self._array_flips)

    def invert(self, array: np.ndarray) -> np.ndarray:
        """Return a view of an array in the new order (z, y, x) in the old order."""
        return np.flip(array, self._array_flips).transpose(np.argsort(self._array_permutation))

    def apply_geometry(self, geometry: Geometry) -> Geometry:
        """Return the grid of the voxels in the new order; each voxel stays where it is in the patient."""
        order = list(self.permutation)
        signs = np.where(self.flips, -1.0, 1.0)
        first = np.zeros((1, 3))
        first[0, order] = [geometry.size[old] - 1 if flip else 0 for old, flip in zip(order, self.flips)]
        direction = np.reshape(geometry.direction, (3, 3))[:, order] * signs
        x, y, z = order
        return Geometry(
            size=(geometry.size[x], geometry.size[y], geometry.size[z]),
            spacing=(geometry.spacing[x], geometry.spacing[y], geometry.spacing[z]),
            # + 0.0 turns the -0.0 of a flipped axis into 0.0
            origin=tuple((geometry.positions(first)[0] + 0.0).tolist()),
            direction=tuple((direction + 0.0).ravel().tolist()),
        )

    @property
    def _array_permutation(self) -> tuple[int, ...]:
        return tuple(2 - old for old in reversed(self.permutation))

    @property
    def _array_flips(self) -> tuple[int, ...]:
        return tuple(2 - axis for axis in range(3) if self.flips[axis])


def axis_map(direction: Sequence[float], target: str = "LPS") -> AxisMap:
    """Find the axis order whose grid is closest to the anatomical axes of ``target``.

    Of the 48 candidates it takes the one whose direction matrix has the greatest trace in the target's frame, that is
    the smallest rotation from it. Ties (oblique by 45 degrees) go to the direction matrix that is greatest element by
    element. Both depend on the candidates' matrices alone, and these are the same 48 however a grid was stored.

    Args:
        direction: Direction matrix of a grid, row by row, LPS, as SimpleITK gives it.
        target: Where the new x, y and z axes lead, one letter each of L/R, P/A and S/I; "LPS" is SimpleITK's identity.

    Raises:
        UserError: The grid is sheared, or ``target`` is no axis code.
    """
    check_direction(direction)
    wanted = _target_matrix(target)
    axes = np.reshape(direction, (3, 3))
    maps = [AxisMap((p[0], p[1], p[2]), (f[0], f[1], f[2]))
            for p in permutations(range(3)) for f in product((False, True), repeat=3)]  # fmt: skip
    results = np.array([axes[:, each.permutation] * np.where(each.flips, -1.0, 1.0) for each in maps])
    keys = np.column_stack([np.einsum("ij,nij->n", wanted, results), results.reshape(len(maps), 9)])
    return maps[greatest(keys)]


def greatest(keys: np.ndarray) -> int:
    """Return the row of ``keys`` (n, k) that comes last in lexical order, taking nearly equal numbers for equal."""
    left = np.arange(len(keys))
    for column in keys.T:
        left = left[column[left] >= column[left].max() - TIE_TOLERANCE]
    return int(left[0])


def reorient(image: sitk.Image, target: str = "LPS") -> tuple[sitk.Image, AxisMap]:
    """Bring a 3D scalar image to the axis order closest to ``target``; see `axis_map`.

    Returns:
        The image in the new order, and the map that led there, for `restore`.

    Raises:
        UserError: Not a 3D scalar image, or a sheared grid.
    """
    check_volume(image)
    axes = axis_map(image.GetDirection(), target)
    array = np.ascontiguousarray(axes.apply(sitk.GetArrayViewFromImage(image)))
    return axes.apply_geometry(Geometry.of(image)).put_on(sitk.GetImageFromArray(array)), axes


def restore(reoriented: sitk.Image | np.ndarray, axes: AxisMap, like: sitk.Image) -> sitk.Image:
    """Bring something from the order of `reorient` back to the order and the exact grid of ``like``.

    Args:
        reoriented: Image, or array of shape (z, y, x), in the new order.
        axes: The map that led there.
        like: The image before.

    Raises:
        ValueError: The voxel counts do not fit.
    """
    array = sitk.GetArrayViewFromImage(reoriented) if isinstance(reoriented, sitk.Image) else reoriented
    array = np.ascontiguousarray(axes.invert(array))
    if array.shape != like.GetSize()[::-1]:
        raise ValueError(f"an array of shape {array.shape} does not fit an image of shape {like.GetSize()[::-1]}")
    return Geometry.of(like).put_on(sitk.GetImageFromArray(array))


def _target_matrix(target: str) -> np.ndarray:
    matrix = np.zeros((3, 3))
    for column, letter in enumerate(target.upper()[:3]):
        if letter in _AXIS_OF_LETTER:
            row, sign = _AXIS_OF_LETTER[letter]
            matrix[row, column] = sign
    if len(target) != 3 or abs(np.linalg.det(matrix)) != 1:
        raise UserError(
            f'"{target}" is not an axis code.', todo="Use three letters, one each of L/R, P/A and S/I, such as LPS."
        )
    return matrix


def is_axis_code(code: str) -> bool:
    """Tell whether a text names a voxel order as ``DICOMOrient`` does: one of L/R, one of P/A and one of S/I."""
    return len(code) == 3 and all(sum(letter in axis for letter in code) == 1 for axis in ("LR", "PA", "SI"))
