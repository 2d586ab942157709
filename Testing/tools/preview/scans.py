"""Phantom scans in the scene, and what is done to them in views and in the Segment Editor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk

from lnsegfm.evaluation.metrics import dice
from lnsegfm.phantom import PhantomCase, make_case

DOMAIN = "hospital"
# Window and level in HU.
SOFT_TISSUE = (400, 40)
# How far the table moved between two scans, mm.
_TABLE_MM = 20.0


@dataclass(frozen=True)
class Scan:
    """A phantom and its volume node."""

    case: PhantomCase
    volume: Any

    @property
    def name(self) -> str:
        """Name of the volume node."""
        return self.volume.GetName()

    @property
    def truth(self) -> np.ndarray:
        """Where the phantom has lymph nodes, bool, shape (z, y, x)."""
        return sitk.GetArrayFromImage(self.case.labels) > 0

    def score(self, segmentation: Any) -> float:
        """Return the DSC of a segmentation node against the truth."""
        return dice(labels_of(segmentation, self.volume), self.truth)

    def geometry_kept_by(self, segmentation: Any) -> bool:
        """Tell whether a segmentation node comes back on the grid of the phantom."""
        from LNSegFMLib.scene.segments.segmentations import label_reader

        labels, ct = label_reader(segmentation, self.volume)(), self.case.ct
        return labels.GetSize() == ct.GetSize() and np.allclose(labels.GetOrigin(), ct.GetOrigin())


def load_scan(number: int, seed: int, size: tuple[int, int, int]) -> Scan:
    """Add a phantom to the scene, as a file that was dropped on the window is; no two lie at the same place."""
    from LNSegFMLib.scene.volumes import add_volume

    case = make_case(DOMAIN, seed, size=size)
    for image in (case.ct, case.labels):
        image.SetOrigin((0.0, 0.0, _TABLE_MM * number))
    volume = add_volume(case.ct, f"Scan {number}")
    volume.GetDisplayNode().AutoWindowLevelOff()
    volume.GetDisplayNode().SetWindowLevel(*SOFT_TISSUE)
    return Scan(case, volume)


def labels_of(segmentation: Any, volume: Any) -> np.ndarray:
    """Return the union of all segments, bool, shape (z, y, x) of the volume."""
    from LNSegFMLib.scene.segments.segmentations import label_reader

    return sitk.GetArrayFromImage(label_reader(segmentation, volume)()) > 0


def paint(segmentation: Any, labels: np.ndarray, volume: Any) -> None:
    """Replace the segments, as with the Segment Editor's effects, which the stand-in does not have.

    Args:
        segmentation: vtkMRMLSegmentationNode.
        labels: Where lymph nodes are, bool, shape (z, y, x) of the volume; each separate part becomes a segment.
        volume: The volume node.
    """
    import slicer

    from LNSegFMLib.scene.segments.terminology import lymph_node_colour

    components = sitk.GetArrayFromImage(sitk.ConnectedComponent(sitk.GetImageFromArray(labels.astype(np.uint8)), True))
    segments = segmentation.GetSegmentation()
    segments.RemoveAllSegments()
    for number in range(1, components.max() + 1):
        name, colour = f"Lymph node {number}", lymph_node_colour(number)
        segment_id = segments.AddEmptySegment(f"LymphNode_{number}", name, colour)
        part = (components == number).astype(np.uint8)
        slicer.util.updateSegmentBinaryLabelmapFromArray(part, segmentation, segment_id, volume)


def drag_over_right_half(roi: Any, volume: Any) -> np.ndarray:
    """Drag the handles of a ROI until it covers the patient's right half of a volume.

    Args:
        roi: vtkMRMLMarkupsROINode.
        volume: The volume node.

    Returns:
        What lies in it, bool, shape (z, y, x) of the volume.
    """
    from LNSegFMLib.scene.regions import box_of
    from LNSegFMLib.scene.volumes import geometry_of_volume

    bounds = [0.0] * 6
    volume.GetRASBounds(bounds)
    low, high = np.array(bounds[::2]), np.array(bounds[1::2])
    low[0] = (low[0] + high[0]) / 2
    roi.SetCenter(((low + high) / 2).tolist())
    roi.SetSize((high - low).tolist())
    # As in the display options of the Markups module: as it is, it hides the CT.
    roi.GetDisplayNode().SetFillOpacity(0.1)
    return box_of(roi, volume).mask(geometry_of_volume(volume))


def only_visible(segmentation: Any) -> None:
    """Hide all other segmentations with their eyes; the phantoms lie on top of each other."""
    import slicer

    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        node.SetDisplayVisibility(node is segmentation)


def show_in_3d(segmentation: Any, volume: Any) -> None:
    """Press "Show 3D" of the Segmentations module, and let the 3D view show the whole volume."""
    import slicer

    segmentation.CreateClosedSurfaceRepresentation()
    bounds = [0.0] * 6
    volume.GetRASBounds(bounds)
    widget = slicer.app.layoutManager().threeDWidget(0)
    if widget is None:  # not in every layout of a real Slicer
        return
    view = widget.threeDView()
    view.resetFocalPoint()
    # Which centres on the segments alone. The stand-in renders when somebody looks, a real view at once.
    getattr(view, "draw", view.forceRender)()
    renderer = view.renderWindow().GetRenderers().GetFirstRenderer()
    renderer.ResetCamera(bounds)
    renderer.GetActiveCamera().Dolly(1.3)
    renderer.ResetCameraClippingRange()


def close_plot() -> None:
    """Take the chart out of the plot view, as with its pin."""
    import slicer

    widget = slicer.app.layoutManager().plotWidget(0)
    if widget is not None:  # not in every layout of a real Slicer
        widget.mrmlPlotViewNode().SetPlotChartNodeID(None)
