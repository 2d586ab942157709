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
        ("fast", _("Fast"), _("One pass instead of eight mirrored ones, wider tiles: for a first look.")),
        ("standard", _("Standard"), _("As nnU-Net by itself: mirrored passes, tiles that overlap by half.")),
        ("best", _("Best"), _("Mirrored passes and tiles that overlap by two thirds: slowest.")),
    )
    _fill(
        ui.regionSelector,
        (WHOLE, _("The whole CT"), _("Everything is segmented.")),
        (BODY, _("The body"), _("The box around the patient; the air and the table around it are left out.")),
        (ROI, _("A ROI"), _("The box of voxels around a ROI.")),
    )
    _fill(
        ui.segmentsSelector,
        ("node", _("One per lymph node"), _("Each can be reviewed, deleted and corrected by itself.")),
        ("all", _("One for all lymph nodes"), _("As training data and some other software want it.")),
    )
    _fill(
        ui.deviceSelector,
        ("auto", _("Automatic"), _("The GPU where there is one; the status line tells what was taken and why.")),
        ("cuda", _("NVIDIA GPU (CUDA)"), _("Fails where there is none; nothing is taken silently instead.")),
        ("mps", _("Apple GPU (MPS)"), _("Fails where there is none; nothing is taken silently instead.")),
        ("cpu", _("CPU"), _("Slower, but works everywhere.")),
    )


def explain_choices(ui: Any) -> None:
    """Let the tooltips of the combo boxes say what is chosen."""
    for box in (ui.qualitySelector, ui.regionSelector, ui.segmentsSelector, ui.deviceSelector):
        tip = box.itemData(box.currentIndex, _TOOLTIP_ROLE) if box.currentIndex >= 0 else ""
        box.toolTip = tip or ""


def _fill(box: Any, *choices: tuple[str, str, str]) -> None:
    for value, text, tip in choices:
        box.addItem(text, value)
        box.setItemData(box.count - 1, tip, _TOOLTIP_ROLE)
