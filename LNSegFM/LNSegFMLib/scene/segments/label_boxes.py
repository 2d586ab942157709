"""Where the labels of a labelmap lie, found once and remembered until the labelmap changes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
from vtk.util import numpy_support

Box = tuple[slice, slice, slice]
"""Part of an array by axis (z, y, x)."""

# Labelmaps whose boxes are remembered; one has some forty boxes of six numbers.
_REMEMBERED = 64
# By modification time, which VTK gives to one object only, and once.
_known: OrderedDict[int, dict[int, Box | None]] = OrderedDict()
_guard = threading.Lock()


def voxels_of(image: Any) -> np.ndarray:
    """Return the voxels of a vtkImageData with scalars, shape (z, y, x), without a copy."""
    return numpy_support.vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])


def box_of(image: Any, value: int) -> Box | None:
    """Return the box of the voxels with a value, by array axis; None where there are none.

    Only the first question about a labelmap that was changed from elsewhere looks at all of its voxels.

    Args:
        image: vtkImageData with scalars.
        value: The label.
    """
    known = known_boxes(image)
    if value not in known:
        remember(image.GetMTime(), {value: find_box(voxels_of(image), value)})
        known = known_boxes(image)
    return known[value]


def known_boxes(image: Any) -> Mapping[int, Box | None]:
    """Return the boxes that are known of a labelmap as it is now, by label."""
    return _known.get(image.GetMTime(), {})


def remember(modification_time: int, boxes: Mapping[int, Box | None]) -> None:
    """Note boxes of a labelmap; may be called from any thread.

    Args:
        modification_time: ``GetMTime()`` of the labelmap that they were found in.
        boxes: The boxes, by label.
    """
    with _guard:
        _known[modification_time] = {**_known.get(modification_time, {}), **boxes}
        _known.move_to_end(modification_time)
        while len(_known) > _REMEMBERED:
            _known.popitem(last=False)


def paint(image: Any, box: Box, mask: np.ndarray, value: int, boxes: Mapping[int, Box | None]) -> None:
    """Give voxels of a labelmap another label, without the event that makes Slicer drop all closed surfaces.

    The modification time changes, so that what shows the labelmap is drawn again with the next event of its
    segmentation; that event is the caller's.

    Args:
        image: vtkOrientedImageData.
        box: The part of it that changes.
        mask: bool, shape of the box: the voxels that change.
        value: Their label from now on.
        boxes: The boxes that change by it, by label.
    """
    known = dict(known_boxes(image))
    voxels_of(image)[box][mask] = value
    image.GetPointData().GetScalars().Modified()
    remember(image.GetMTime(), {**known, **boxes})


def find_box(array: np.ndarray, value: int) -> Box | None:
    """Return the box of the voxels with a value; plane by plane, since a labelmap may cover all of a neck."""
    planes = [index for index, plane in enumerate(array) if (plane == value).any()]
    if not planes:
        return None
    z = slice(planes[0], planes[-1] + 1)
    shadow = (array[z] == value).any(axis=0)
    rows, columns = np.flatnonzero(shadow.any(axis=1)), np.flatnonzero(shadow.any(axis=0))
    return z, slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def find_boxes(array: np.ndarray) -> dict[int, Box]:
    """Return the boxes of all labels but 0; slow for large labelmaps, so not for the thread of the user interface."""
    voxels = np.argwhere(array)
    labels = array[tuple(voxels.T)]
    order = np.argsort(labels, kind="stable")
    found: dict[int, Box] = {}
    values, starts = np.unique(labels[order], return_index=True)
    for value, own in zip(values.tolist(), np.split(voxels[order], starts[1:])):
        (z, y, x), (z1, y1, x1) = own.min(axis=0).tolist(), (own.max(axis=0) + 1).tolist()
        found[int(value)] = (slice(z, z1), slice(y, y1), slice(x, x1))
    return found
