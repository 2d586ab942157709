"""Matrices of VTK as arrays, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import vtk


def matrix_of(vtk_matrix: Any) -> np.ndarray:
    """Return a vtkMatrix4x4 as array, shape (4, 4)."""
    return np.array([[vtk_matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def vtk_matrix_of(matrix: np.ndarray) -> Any:
    """Return a 4x4 array as vtkMatrix4x4."""
    result = vtk.vtkMatrix4x4()
    for row in range(4):
        for column in range(4):
            result.SetElement(row, column, float(matrix[row, column]))
    return result
