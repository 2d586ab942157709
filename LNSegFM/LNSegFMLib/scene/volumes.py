"""Volumes of the MRML scene as SimpleITK images, on exactly the same grid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer
import vtk

from lnsegfm.base.errors import UserError
from lnsegfm.images.geometry import Geometry
from LNSegFMLib.scene.matrices import matrix_of, vtk_matrix_of
from LNSegFMLib.scene.transforms import check_transform

_RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0])
OVERLAY = "LNSegFM.Overlay"
"""Attribute of volume nodes that are drawn over a CT and are none."""
# Window and level in HU.
_SOFT_TISSUE = (400.0, 40.0)


Index = tuple[int, int, int]


def geometry_of(ijk_to_ras: np.ndarray, size: Index, first: Index = (0, 0, 0)) -> Geometry:
    """Return the grid of voxels whose IJK go to RAS by a matrix.

    Args:
        ijk_to_ras: 4x4 matrix, mm.
        size: Voxels along (i, j, k).
        first: IJK of the first voxel.
    """
    axes = _RAS_FROM_LPS @ ijk_to_ras[:3, :3]
    spacing = np.linalg.norm(axes, axis=0)
    origin = _RAS_FROM_LPS @ (ijk_to_ras[:3, :3] @ np.asarray(first) + ijk_to_ras[:3, 3])
    x, y, z = (float(length) for length in spacing)
    a, b, c = (float(value) for value in origin)
    return Geometry(size, (x, y, z), (a, b, c), tuple(float(value) for value in (axes / spacing).ravel()))


def image_reader(volume_node: Any) -> Callable[[], sitk.Image]:
    """Take what is needed of a volume node now, so that another thread can make the image from it.

    The voxels are copied when the returned function is called: it holds them even when the volume node is removed from
    the scene in the meantime. A rigid parent transform is left out; results belong under the same transform.

    Args:
        volume_node: vtkMRMLScalarVolumeNode.

    Returns:
        A function, to be called once in any thread, that returns the volume in its own type on its own grid (LPS).

    Raises:
        UserError: The volume has no voxels, or more than one value in each, or its transform has to be hardened first.
    """
    array = voxels_of_volume(volume_node)
    check_transform(volume_node)
    geometry = geometry_of_volume(volume_node)

    def read() -> sitk.Image:
        return geometry.put_on(sitk.GetImageFromArray(array))

    return read


def voxels_of_volume(volume_node: Any) -> np.ndarray:
    """Return the voxels of a volume node, shape (z, y, x), without a copy; they last as long as the array.

    Args:
        volume_node: vtkMRMLScalarVolumeNode.

    Raises:
        UserError: The volume has no voxels, or more than one value in each.
    """
    image_data = volume_node.GetImageData()
    if image_data is None or image_data.GetPointData().GetScalars() is None:
        raise UserError(
            f'The volume "{volume_node.GetName()}" is empty.', "It has no voxels.", "Load its data, or choose another."
        )
    if image_data.GetNumberOfScalarComponents() != 1:
        raise UserError(
            f'The volume "{volume_node.GetName()}" is not a scalar volume.',
            f"Its voxels hold {image_data.GetNumberOfScalarComponents()} values each.",
            "Choose a volume with one number per voxel.",
        )
    return slicer.util.arrayFromVolume(volume_node)


def geometry_of_volume(volume_node: Any) -> Geometry:
    """Return the grid of a volume node that has voxels, before its parent transform."""
    return geometry_of(ijk_to_ras_of(volume_node), volume_node.GetImageData().GetDimensions())


def ijk_to_ras_of(volume_node: Any) -> np.ndarray:
    """Return the 4x4 matrix from voxel indices of a volume node to mm in its own RAS, before its parent transform."""
    matrix = vtk.vtkMatrix4x4()
    volume_node.GetIJKToRASMatrix(matrix)
    return matrix_of(matrix)


def matrix_between(node: Any, volume_node: Any, problem: str) -> np.ndarray:
    """Return the 4x4 matrix from a node's own RAS to a volume node's own RAS, before their parent transforms.

    Args:
        node: Any transformable node.
        volume_node: The volume node.
        problem: What happened, for the user, where there is no such matrix.

    Raises:
        UserError: They are under different transforms, and one of these is not linear.
    """
    source, target = node.GetParentTransformNode(), volume_node.GetParentTransformNode()
    if source is target:
        return np.eye(4)
    if any(each is not None and not each.IsTransformToWorldLinear() for each in (source, target)):
        raise UserError(
            problem, "They are under different transforms, and one of these is not linear.",
            "Harden the transforms (in Slicer: Data module), or put both under the same one.",
        )
    matrix = vtk.vtkMatrix4x4()
    slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(source, target, matrix)
    return matrix_of(matrix)


def ct_volumes() -> list[Any]:
    """Return the scene's volume nodes that may be CTs: no labelmaps, no overlays of ours, nothing hidden."""
    return [
        node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
        if node.GetClassName() == "vtkMRMLScalarVolumeNode" and not node.GetHideFromEditors()
        and node.GetAttribute(OVERLAY) is None
    ]


def add_volume(image: sitk.Image, name: str) -> Any:
    """Add a 3D scalar image to the scene and return its vtkMRMLScalarVolumeNode.

    Args:
        image: Image on a grid in LPS, as SimpleITK has it.
        name: Name of the node; a number is appended when it is taken.
    """
    scene = slicer.mrmlScene
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", scene.GenerateUniqueName(name))
    geometry = Geometry.of(image)
    ijk_to_ras = np.eye(4)
    ijk_to_ras[:3, :3] = _RAS_FROM_LPS @ geometry.matrix
    ijk_to_ras[:3, 3] = _RAS_FROM_LPS @ np.asarray(geometry.origin)
    node.SetIJKToRASMatrix(vtk_matrix_of(ijk_to_ras))
    # Before the voxels, for which it would look for a window and level of its own, which takes long in a large CT.
    node.CreateDefaultDisplayNodes()
    display_node = node.GetDisplayNode()
    display_node.SetAutoWindowLevel(False)
    display_node.SetWindowLevel(*_SOFT_TISSUE)
    slicer.util.updateVolumeFromArray(node, sitk.GetArrayViewFromImage(image))
    return node
