"""ROI nodes of Slicer's Markups as boxes in a volume."""

from __future__ import annotations

from typing import Any

import numpy as np

from lnsegfm.images.oriented_box import OrientedBox
from LNSegFMLib.scene.matrices import matrix_of
from LNSegFMLib.scene.transforms import check_transform
from LNSegFMLib.scene.volumes import matrix_between

_FILL_OPACITY = 0.1


def box_of(roi_node: Any, volume_node: Any) -> OrientedBox:
    """Return a ROI as a box in the volume's own RAS, whatever transforms the two are under.

    Args:
        roi_node: vtkMRMLMarkupsROINode, at any angle.
        volume_node: The volume node.

    Raises:
        UserError: A transform between the two is not linear, or that of the volume has to be hardened first.
    """
    check_transform(volume_node)
    half_sizes = np.diag([*(length / 2 for length in roi_node.GetSize()), 1.0])
    between = matrix_between(roi_node, volume_node, f'The ROI "{roi_node.GetName()}" cannot be brought to the volume.')
    return OrientedBox(between @ matrix_of(roi_node.GetObjectToNodeMatrix()) @ half_sizes)


def place_in(roi_node: Any, volume_node: Any) -> None:
    """Put a new ROI into the middle of a volume, half as long in each direction, where it can be seen and moved.

    Args:
        roi_node: vtkMRMLMarkupsROINode that is not drawn yet.
        volume_node: The volume node.
    """
    bounds = [0.0] * 6
    volume_node.GetRASBounds(bounds)  # in world coordinates, as the ROI under no transform is
    low, high = np.array(bounds[::2]), np.array(bounds[1::2])
    roi_node.SetCenter(((low + high) / 2).tolist())
    roi_node.SetSize(((high - low) / 2).tolist())
    roi_node.CreateDefaultDisplayNodes()
    # The default fill hides what is to be checked.
    roi_node.GetDisplayNode().SetFillOpacity(_FILL_OPACITY)
