"""Lymph nodes in a scene without PyTorch: spheres in water, of known size and place."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer

# Voxels (x, y, z) and their size in mm.
SIZE = (100, 100, 60)
SPACING = (2.0, 2.0, 3.0)
RADIUS_MM = 7.0
COUNT = 8


def add_pair(name: str) -> tuple[Any, Any]:
    """Add a CT with `COUNT` spherical lymph nodes, and its segmentation with a segment for each.

    Args:
        name: Of the volume.

    Returns:
        The volume node and the segmentation node.
    """
    from LNSegFMLib.scene.segments.segmentations import Labelmap, add_segmentation

    labels = sphere_labels()
    array = np.where(labels > 0, 60, 0).astype(np.int16)
    volume_node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    volume_node.SetSpacing(SPACING)
    volume_node.CreateDefaultDisplayNodes()
    slicer.util.updateVolumeFromArray(volume_node, array)
    labelmap = Labelmap(labels, (0, 0, 0), tuple(range(1, COUNT + 1)))
    return volume_node, add_segmentation(labelmap, volume_node, "Lymph node {}".format, f"{name} lymph nodes")


def sphere_labels() -> np.ndarray:
    """Return the number of the lymph node by voxel, uint8, shape (z, y, x); 0 is background."""
    z, y, x = np.meshgrid(*(np.arange(length) for length in SIZE[::-1]), indexing="ij")
    labels = np.zeros(SIZE[::-1], np.uint8)
    for number in range(1, COUNT + 1):
        column, row = (number - 1) % 4, (number - 1) // 4
        centre = (14 + 24 * column, 25 + 50 * row, 10 + 5 * number)
        distances = ((position - middle) * mm for position, middle, mm in zip((x, y, z), centre, SPACING))
        labels[sum(distance**2 for distance in distances) <= RADIUS_MM**2] = number
    return labels


def voxels(segmentation_node: Any, volume_node: Any) -> dict[str, int]:
    """Return the number of voxels of each segment by its id."""
    segment_ids = segmentation_node.GetSegmentation().GetSegmentIDs()
    return {
        segment_id: int(slicer.util.arrayFromSegmentBinaryLabelmap(segmentation_node, segment_id, volume_node).sum())
        for segment_id in segment_ids
    }
