"""What a lymph node is called in Slicer's terminologies."""

from __future__ import annotations

from typing import Any

import slicer
import vtk

# Slicer's general anatomy list has the lymph node among the tissues (DICOM CID 7166), with this colour.
LYMPH_NODE = (
    "Segmentation category and type - 3D Slicer General Anatomy list"
    "~SCT^85756007^Tissue"
    "~SCT^59441001^Lymph node"
    "~^^"
    "~Anatomic codes - DICOM master list"
    "~^^"
    "~^^"
)
LYMPH_NODE_COLOUR = (68 / 255, 172 / 255, 100 / 255)
IMPLAUSIBLE_COLOUR = (0.5, 0.5, 0.5)

# Okabe and Ito's colours, told apart by all kinds of colour vision, without the black and the pale yellow.
_COLOURS = (
    (0, 158, 115),
    (230, 159, 0),
    (86, 180, 233),
    (204, 121, 167),
    (213, 94, 0),
    (0, 114, 178),
)


def lymph_node_colour(number: int) -> tuple[float, float, float]:
    """Return the display colour, RGB from 0 to 1, of the lymph node with this number (1, 2, ...)."""
    red, green, blue = _COLOURS[(number - 1) % len(_COLOURS)]
    return red / 255, green / 255, blue / 255


def tag_of(segment: Any) -> str:
    """Return the terminology entry of a vtkSegment; empty where it has none."""
    value = vtk.reference("")
    return str(value) if segment.GetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), value) else ""
