"""What the module LN-Seg-FM keeps in its parameter node, and so with the scene."""

from __future__ import annotations

from slicer.parameterNodeWrapper import parameterNodeWrapper


@parameterNodeWrapper
class SegmentParameters:
    """The choices of the panel; the names are those in scenes that were saved by earlier versions.

    The nodes are references: ``Volume``, ``Segmentation``, ``RegionRoi`` and ``CheckedRoi``.

    Attributes:
        Model: Id of the model; empty for the default model.
        Device: ``auto``, ``cuda``, ``mps`` or ``cpu``.
        Backend: One of `lnsegfm.segmentation.backend_names.BACKENDS`.
        Segments: ``node`` for one segment for each lymph node, ``all`` for one for all of them.
        Quality: One of `lnsegfm.segmentation.segment_options.QUALITIES`.
        Region: ``whole``, ``body`` or ``roi``.
        MinimumShortAxis: Lymph nodes with a smaller short axis are left out, in mm.
        KeptQueue: The queue of volumes, from the end of a panel to the start of the next.
    """

    Model: str = ""
    Device: str = "auto"
    Backend: str = "auto"
    Segments: str = "node"
    Quality: str = "standard"
    Region: str = "whole"
    MinimumShortAxis: float = 0.0
    KeptQueue: str = ""
