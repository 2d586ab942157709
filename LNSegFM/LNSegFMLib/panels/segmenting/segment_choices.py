"""What can be chosen for a segmentation: values, texts and what they mean."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from lnsegfm.images.boxes import BODY, WHOLE

ROI = "roi"
_TOOLTIP_ROLE = 3  # Qt::ToolTipRole; combo boxes of PythonQt want the number


def add_choices(ui: Any) -> None:
    """Fill the combo boxes of SegmentSection.ui; the values are those of the parameter node."""
    _fill(
        ui.qualitySelector,
        ("fast", _("Fast"), _("One pass instead of eight mirrored ones, and larger steps: for a first look.")),
        ("standard", _("Standard"), _("Same as nnU-Net: mirrored passes, tiles that overlap by half.")),
        ("best", _("Best"), _("Mirrored passes and tiles that overlap by two thirds: slowest.")),
    )
    _fill(
        ui.regionSelector,
        (WHOLE, _("The whole CT"), _("The whole volume is segmented.")),
        (BODY, _("The body"), _("The bounding box of the patient, without surrounding air and couch.")),
        (ROI, _("A ROI"), _("The box of voxels around a ROI.")),
    )
    _fill(
        ui.segmentsSelector,
        ("node", _("One per lymph node"), _("Each can be reviewed, deleted and corrected separately.")),
        ("all", _("One for all lymph nodes"), _("As required for training data and by some other software.")),
    )
    _fill(
        ui.deviceSelector,
        ("auto", _("Automatic"), _("The GPU if there is one; the status line says which device was used and why.")),
        ("cuda", _("NVIDIA GPU (CUDA)"), _("Fails if there is none; no other device is used instead.")),
        ("mps", _("Apple GPU (MPS)"), _("Fails if there is none; no other device is used instead.")),
        ("cpu", _("CPU"), _("Slower, but works everywhere.")),
    )
    _fill(
        ui.backendSelector,
        ("auto", _("Automatic"), _("OpenVINO on the CPU if it is installed, otherwise PyTorch.")),
        ("torch", _("PyTorch"), _("Works on every device.")),
        ("openvino", _("OpenVINO (CPU)"), _("Faster on CPUs, with the same labels. Install it in the section Setup.")),
        ("openvino-gpu", _("OpenVINO (Intel GPU)"), _("In half precision on a GPU from Intel.")),
    )


def explain_choices(ui: Any) -> None:
    """Let the tooltips of the combo boxes say what is chosen."""
    for box in (ui.qualitySelector, ui.regionSelector, ui.segmentsSelector, ui.deviceSelector, ui.backendSelector):
        tip = box.itemData(box.currentIndex, _TOOLTIP_ROLE) if box.currentIndex >= 0 else ""
        box.toolTip = tip or ""


def _fill(box: Any, *choices: tuple[str, str, str]) -> None:
    for value, text, tip in choices:
        box.addItem(text, value)
        box.setItemData(box.count - 1, tip, _TOOLTIP_ROLE)
