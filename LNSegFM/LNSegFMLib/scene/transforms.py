"""Transforms over a CT that change its shape, and hardening them.

What a model segments is a volume's own voxel grid. Under a rigid transform that is the patient, moved; the results
belong under the same transform. Under any other, distances and angles of the grid are not those of the patient.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util import numpy_support

from lnsegfm.base.computer.memory import memory_bytes
from lnsegfm.base.errors import UserError
from LNSegFMLib.scene.matrices import matrix_of, vtk_matrix_of

# As lnsegfm.images.volume_checks allows it for the axes of a grid.
_TOLERANCE = 1e-3
# Positions at which the extent of a warped volume is looked at, along each axis.
_SAMPLES = 17
_INNER_MM = 1.0
DICOM_INSTANCES = "DICOM.instanceUIDs"
"""Attribute of a volume node that names the DICOM files whose voxels it has."""


def transform_problem(volume_node: Any) -> str:
    """Say why the grid of a volume node is not the patient's shape, in a sentence; empty where it is.

    Args:
        volume_node: vtkMRMLScalarVolumeNode, or None.
    """
    if volume_node is None:
        return ""
    parent = volume_node.GetParentTransformNode()
    if parent is not None and not parent.IsTransformToWorldLinear():
        return _("It is under a transform that is not linear, as Slicer puts tilted and unevenly spaced CTs under one.")
    if parent is not None and not _is_rigid(_to_world(parent)):
        return _("It is under a transform that scales, shears or mirrors.")
    if not _has_right_angles(_own_grid(volume_node)):
        return _("Its voxel grid is sheared.")
    return ""


def check_transform(volume_node: Any) -> None:
    """Refuse a volume node whose own grid is not the patient's shape.

    Args:
        volume_node: vtkMRMLScalarVolumeNode.

    Raises:
        UserError: It is under a transform that is not rigid, or its grid is sheared.
    """
    problem = transform_problem(volume_node)
    if problem:
        raise UserError(
            _('The transform of "{volume}" has to be hardened first.').format(volume=volume_node.GetName()),
            problem + " " + _("Its voxels alone do not have the patient's shape."),
            _("Choose it in LN-Seg-FM and press Harden transform (in Python: LNSegFMLib.scene.transforms.harden)."),
        )


def harden(volume_node: Any) -> bool:
    """Give a volume node the grid that it has in the world, without a transform.

    Where that grid has right angles, the voxels stay as they are. Else they are resampled linearly to the nearest grid
    with right angles, large enough for all of them; what was not imaged gets the lowest value. A file on disk is not
    changed, and so the volume does not count as the one of its DICOM series any more where its grid became another one.

    Args:
        volume_node: vtkMRMLScalarVolumeNode with voxels.

    Returns:
        Whether the voxels were resampled.

    Raises:
        UserError: The new grid would not fit into memory.
    """
    parent = volume_node.GetParentTransformNode()
    linear = parent is None or parent.IsTransformToWorldLinear()
    if linear:
        grid = (np.eye(4) if parent is None else _to_world(parent)) @ _own_grid(volume_node)
        if _has_right_angles(grid):
            _put_on(volume_node, grid)
            return False
    image, grid = _resampled(volume_node)
    _put_on(volume_node, grid, image)
    return True


def _put_on(volume_node: Any, grid: np.ndarray, image: Any = None) -> None:
    """Give a volume node a grid in the world (4x4 matrix from IJK to RAS), and other voxels where there are any."""
    # Observers see the whole of it alone: the old voxels without the transform are nowhere.
    with slicer.util.NodeModify(volume_node):
        if image is not None or not np.allclose(grid, _own_grid(volume_node), rtol=0, atol=_TOLERANCE):
            volume_node.RemoveAttribute(DICOM_INSTANCES)
        volume_node.SetAndObserveTransformNodeID(None)
        volume_node.SetIJKToRASMatrix(vtk_matrix_of(grid))
        if image is not None:
            volume_node.SetAndObserveImageData(image)


def _resampled(volume_node: Any) -> tuple[Any, np.ndarray]:
    """Return the voxels on a grid with right angles in the world, and its 4x4 matrix from IJK to RAS."""
    source = volume_node.GetImageData()
    grid, size = _world_grid(volume_node)
    needed = math.prod(size) * source.GetScalarSize()
    present = memory_bytes()
    if present is not None and needed > present:
        raise UserError(
            _('The transform of "{volume}" cannot be hardened.').format(volume=volume_node.GetName()),
            _("The result would have {size} voxels, which do not fit into memory.").format(
                size=" x ".join(map(str, size))
            ),
            _("Check the transform, or crop the volume first (in Slicer: Crop Volume)."),
        )
    own = vtk.vtkMatrix4x4()
    volume_node.GetRASToIJKMatrix(own)
    chain = vtk.vtkGeneralTransform()
    chain.PostMultiply()
    chain.Concatenate(vtk_matrix_of(grid))
    parent, from_world = volume_node.GetParentTransformNode(), vtk.vtkGeneralTransform()
    if parent is not None:
        slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(None, parent, from_world)
        chain.Concatenate(from_world)
    chain.Concatenate(own)
    reslice = vtk.vtkImageReslice()
    reslice.SetInputData(source)
    reslice.SetResliceTransform(chain)
    reslice.SetInterpolationModeToLinear()
    reslice.SetBackgroundLevel(source.GetScalarRange()[0])
    reslice.SetOutputOrigin(0.0, 0.0, 0.0)
    reslice.SetOutputSpacing(1.0, 1.0, 1.0)
    reslice.SetOutputExtent(0, size[0] - 1, 0, size[1] - 1, 0, size[2] - 1)
    reslice.Update()
    return reslice.GetOutput(), grid


def _world_grid(volume_node: Any) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Return a grid with right angles around a volume in the world: 4x4 matrix from IJK to RAS, and its size.

    Its axes are the nearest to those that the volume has at its middle in the world, its spacing is that there.
    """
    own, dimensions = _own_grid(volume_node), np.array(volume_node.GetImageData().GetDimensions())
    middle = (own @ np.append((dimensions - 1) / 2, 1.0))[:3]
    steps = np.concatenate([middle + _INNER_MM / 2 * np.eye(3), middle - _INNER_MM / 2 * np.eye(3)])
    ends = _in_world(volume_node, steps)
    axes = ((ends[:3] - ends[3:]) / _INNER_MM).T @ own[:3, :3]
    spacing = np.linalg.norm(axes, axis=0)
    left, _lengths, right = np.linalg.svd(axes / spacing)
    directions = left @ right
    lines = [np.linspace(-0.5, count - 0.5, _SAMPLES) for count in dimensions]
    places = np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1).reshape(-1, 3)
    world = _in_world(volume_node, places @ own[:3, :3].T + own[:3, 3])
    along = world @ directions / spacing  # in voxels along the new axes
    low, high = along.min(axis=0) + 0.5, along.max(axis=0) - 0.5
    size = np.maximum(np.ceil(high - low - _TOLERANCE).astype(int) + 1, 1)
    grid = np.eye(4)
    grid[:3, :3] = directions * spacing
    grid[:3, 3] = directions @ (low * spacing)
    return grid, (int(size[0]), int(size[1]), int(size[2]))


def _in_world(volume_node: Any, points: np.ndarray) -> np.ndarray:
    """Return where points (n, 3) of a volume node's own RAS are in the world."""
    parent = volume_node.GetParentTransformNode()
    if parent is None:
        return points
    transform = vtk.vtkGeneralTransform()
    parent.GetTransformToWorld(transform)
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    source.SetDataTypeToDouble()
    target.SetDataTypeToDouble()
    source.SetData(numpy_support.numpy_to_vtk(np.ascontiguousarray(points, dtype=float), deep=True))
    transform.TransformPoints(source, target)
    return numpy_support.vtk_to_numpy(target.GetData()).copy()


def _to_world(transform_node: Any) -> np.ndarray:
    matrix = vtk.vtkMatrix4x4()
    transform_node.GetMatrixTransformToWorld(matrix)
    return matrix_of(matrix)


def _own_grid(volume_node: Any) -> np.ndarray:
    matrix = vtk.vtkMatrix4x4()
    volume_node.GetIJKToRASMatrix(matrix)
    return matrix_of(matrix)


def _is_rigid(matrix: np.ndarray) -> bool:
    axes = matrix[:3, :3]
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() <= _TOLERANCE and np.linalg.det(axes) > 0)


def _has_right_angles(grid: np.ndarray) -> bool:
    lengths = np.linalg.norm(grid[:3, :3], axis=0)
    if not lengths.all():
        return True  # another fault, which is said elsewhere
    axes = grid[:3, :3] / lengths
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() <= _TOLERANCE)
