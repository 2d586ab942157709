"""Transform nodes of every kind in the MRML scene, for tests of what is under them."""

from __future__ import annotations

from typing import Any

import numpy as np


def linear(matrix: Any, parent: Any = None) -> Any:
    """Add a linear transform node with a 3x3 or 4x4 matrix, under a parent transform node."""
    import slicer

    from LNSegFMLib.scene.matrices import vtk_matrix_of

    whole = np.eye(4)
    whole[: len(matrix), : len(matrix)] = matrix
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    node.SetMatrixTransformToParent(vtk_matrix_of(whole))
    return _under(node, parent)


def shift_grid(slope: float = 0.3, parent: Any = None) -> Any:
    """Add a grid transform node that moves to A by ``slope`` times S, as Slicer's for a tilted gantry does."""
    import slicer
    import vtk
    from vtk.util import numpy_support

    field = vtk.vtkImageData()
    field.SetDimensions(2, 2, 9)
    field.SetOrigin(-500.0, -500.0, -800.0)
    field.SetSpacing(1000.0, 1000.0, 200.0)
    field.AllocateScalars(vtk.VTK_DOUBLE, 3)
    values = numpy_support.vtk_to_numpy(field.GetPointData().GetScalars()).reshape(9, 2, 2, 3)
    values[:] = 0.0
    values[..., 1] = slope * np.arange(-800.0, 801.0, 200.0)[:, None, None]
    warp = slicer.vtkOrientedGridTransform()
    warp.SetDisplacementGridData(field)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLGridTransformNode")
    node.SetAndObserveTransformToParent(warp)
    return _under(node, parent)


def bulge(parent: Any = None) -> Any:
    """Add a B-spline transform node that moves what is near the middle by some mm."""
    import slicer
    import vtk
    from vtk.util import numpy_support

    field = vtk.vtkImageData()
    field.SetDimensions(8, 8, 8)
    field.SetOrigin(-400.0, -400.0, -400.0)
    field.SetSpacing(114.0, 114.0, 114.0)
    field.AllocateScalars(vtk.VTK_DOUBLE, 3)
    values = numpy_support.vtk_to_numpy(field.GetPointData().GetScalars()).reshape(8, 8, 8, 3)
    values[:] = 0.0
    values[3:5, 3:5, 3:5] = (4.0, -3.0, 5.0)
    warp = slicer.vtkOrientedBSplineTransform()
    warp.SetCoefficientData(field)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLBSplineTransformNode")
    node.SetAndObserveTransformToParent(warp)
    return _under(node, parent)


def rotation(degrees: float) -> np.ndarray:
    """3x3 matrix of a rotation about S."""
    angle = np.deg2rad(degrees)
    return np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])


def put_under(node: Any, transform: Any) -> None:
    """Put a node under a transform node; None takes it out."""
    node.SetAndObserveTransformNodeID(None if transform is None else transform.GetID())


def _under(node: Any, parent: Any) -> Any:
    put_under(node, parent)
    return node
