"""The section Export: lymph nodes for other programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from lnsegfm.base.background import Pending
from lnsegfm.lymph_nodes.instances import LymphNode
from lnsegfm.lymph_nodes.measurement_table import as_text, write_csv
from lnsegfm.lymph_nodes.plausibility import told
from LNSegFMLib.panels.common.panel_host import PanelHost, errors_shown
from LNSegFMLib.panels.common.section import Section
from LNSegFMLib.panels.common.work_bar import WorkBar
from LNSegFMLib.scene.dicom_exports import RTSTRUCT, SEG, DicomFormat, export_dicom, is_available
from LNSegFMLib.scene.exports import Measured, split_apart, table_rows, write_numbers, write_union
from LNSegFMLib.scene.segmentation_bench import Workbench
from LNSegFMLib.scene.segments.lymph_node_records import records_of, segments_apart

_IMAGE_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha")


class ExportSection(Section):
    """Writes the chosen segmentation, and its measurements.

    Args:
        host: The module's widget.
        ui_file: Path of ExportSection.ui.
        bench: Measures.
    """

    def __init__(self, host: PanelHost, ui_file: str, bench: Workbench) -> None:
        super().__init__(host, ui_file)
        self._bench = bench
        self._target = Path()
        self._left_out: list[LymphNode] = []  # of the last export
        self._pair: tuple[Any, Any] = (None, None)
        self._shown_pair: tuple[Any, Any] = (None, None)
        ui = self.ui
        self._bar = WorkBar(ui.exportWorkLabel, ui.exportProgressBar, ui.exportCancelButton)
        ui.exportLabelsSelector.addItem(_("Number of the lymph node"), "number")
        ui.exportLabelsSelector.addItem(_("1 for all lymph nodes"), "one")
        self._buttons = (
            (ui.exportLabelmapButton, self.on_labelmap),
            (ui.exportCsvButton, self.on_csv),
            (ui.exportSegButton, self.on_seg),
            (ui.exportRtstructButton, self.on_rtstruct),
            (ui.copyMeasurementsButton, self.on_copy),
        )
        for button, slot in self._buttons:
            button.connect("clicked(bool)", slot)
        ui.exportResultLabel.setVisible(False)
        self.update()

    def update(self) -> None:
        """Show what would be exported now."""
        segmentation_node, volume_node = pair = self._chosen()
        if pair != self._shown_pair:
            self._shown_pair = pair
            self._say("")  # it was about another pair
            self.ui.exportImplausibleCheckBox.checked = False
            if not self._bar.busy:
                self._bar.say("")
        ready = segmentation_node is not None and volume_node is not None
        self.ui.exportSourceLabel.text = (
            _("{segmentation}, on the grid of {volume}.").format(
                segmentation=segmentation_node.GetName(), volume=volume_node.GetName()
            )
            if ready
            else _("Select a segmentation and its CT first.")
        )
        has_apart = any(record.is_apart for record in records_of(segmentation_node))
        self.ui.exportImplausibleCheckBox.setVisible(has_apart)
        for button, _slot in self._buttons:
            button.enabled = ready and not self._bar.busy

    def scene_closes(self) -> None:
        """What was measured for an export belongs to the scene that goes away."""
        self._pair = self._shown_pair = (None, None)
        self._say("")
        if not self._bar.busy:
            self._bar.say("")

    def close(self) -> None:
        """End the work of this section."""
        self._bar.close()

    # --- Labelmap

    def on_labelmap(self) -> None:
        """Write a labelmap on the CT's grid."""
        filters = ";;".join(f"{name} (*{ending})" for name, ending in (
            ("NIfTI", ".nii.gz"), ("NRRD", ".nrrd"), ("MetaImage", ".mha")
        ))  # fmt: skip
        path = self._asked_path(_("Export the labelmap"), "lymph-nodes.nii.gz", filters, _IMAGE_ENDINGS)
        if path is None:
            return
        if self._writes_numbers():
            self._measure(self._on_measured_for_labelmap)
        else:
            with errors_shown(self.host):
                without = self._segments_left_out()
                self._left_out = self._nodes_of(without)
                self._start("export", write_union(*self._pair, path, without), self._on_labelmap_written)

    def _writes_numbers(self) -> bool:
        return self.ui.exportLabelsSelector.itemData(self.ui.exportLabelsSelector.currentIndex) == "number"

    def _on_measured_for_labelmap(self, measured: Measured) -> None:
        if self._still_there():
            with errors_shown(self.host):
                _counted, self._left_out = self._split(measured)
                task = write_numbers(*self._pair, self._target, measured, self._left_out)
                self._start("export", task, self._on_labelmap_written)

    def _on_labelmap_written(self, shared: int) -> None:
        text = self._saved()
        if shared:
            text += " " + _("{count} voxels belong to several segments and got the number of the first one.").format(
                count=shared
            )
        self._say(text)

    # --- Measurements

    def on_csv(self) -> None:
        """Write the measurements of the segments as they are now."""
        title, filters = _("Export the measurements"), _("Comma-separated values (*.csv)")
        if self._asked_path(title, "lymph-nodes.csv", filters, (".csv",)) is not None:
            self._measure(self._on_measured_for_csv)

    def on_copy(self) -> None:
        """Copy the measurements of the segments as they are now."""
        self._pair = self._chosen()
        self._measure(self._on_measured_for_copy)

    def _on_measured_for_csv(self, measured: Measured) -> None:
        if self._still_there():
            with errors_shown(self.host):
                counted, self._left_out = self._split(measured)
                rows = table_rows(self._pair[0], counted)
                write_csv(rows, self._target, with_reasons=any(row.node.implausible for row in rows))
                self._say(self._saved())

    def _on_measured_for_copy(self, measured: Measured) -> None:
        if self._still_there():
            counted, self._left_out = self._split(measured)
            rows = table_rows(self._pair[0], counted)
            listed = any(row.node.implausible for row in rows)
            slicer.app.clipboard().setText(as_text(rows, separator="\t", with_reasons=listed))
            self._say(" ".join((
                _("{count} lymph nodes copied to the clipboard.").format(count=len(rows)), self._not_exported()
            )).strip())

    # --- DICOM

    def on_seg(self) -> None:
        """Write a DICOM Segmentation object."""
        self._export_dicom(SEG)

    def on_rtstruct(self) -> None:
        """Write a DICOM structure set."""
        self._export_dicom(RTSTRUCT)

    def _export_dicom(self, kind: DicomFormat) -> None:
        segmentation_node, volume_node = self._chosen()
        folder = "."
        if is_available(kind):
            title = _("Folder for the {format} files").format(format=kind.name)
            folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), title, "")
        if folder:
            with errors_shown(self.host), slicer.util.WaitCursor():
                self._pair = (segmentation_node, volume_node)
                without = self._segments_left_out()
                self._left_out = self._nodes_of(without)
                files = export_dicom(kind, segmentation_node, volume_node, Path(folder), without)
                text = _("{format} was saved; files: {count}.").format(format=kind.name, count=len(files))
                text = f"{text} {self._not_exported()}".strip()
                if kind.with_volume:
                    text += " " + _("They include a copy of the CT.")
                self._say(text)

    # --- What cannot be a lymph node

    def _split(self, measured: Measured) -> tuple[Measured, list[LymphNode]]:
        """Return the measured lymph nodes that are exported, and those that are not."""
        if self.ui.exportImplausibleCheckBox.checked:
            return measured, []
        return split_apart(self._pair[0], measured)

    def _segments_left_out(self) -> list[str]:
        return [] if self.ui.exportImplausibleCheckBox.checked else segments_apart(self._pair[0])

    def _nodes_of(self, segment_ids: list[str]) -> list[LymphNode]:
        return [record.node for record in records_of(self._pair[0]) if record.segment_id in segment_ids]

    def _saved(self) -> str:
        return f"{_('{file} was saved.').format(file=self._target.name)} {self._not_exported()}".strip()

    def _not_exported(self) -> str:
        if not self._left_out:
            return ""
        return _("Not exported: {implausible}.").format(implausible=told(self._left_out))

    # --- Helpers

    def _chosen(self) -> tuple[Any, Any]:
        node = self.host.parameter_node
        if node is None:
            return None, None
        return node.GetNodeReference("Segmentation"), node.GetNodeReference("Volume")

    def _asked_path(self, title: str, suggestion: str, filters: str, endings: tuple[str, ...]) -> Path | None:
        """Ask where to write; a name without an ending gets the first one."""
        path = qt.QFileDialog.getSaveFileName(slicer.util.mainWindow(), title, suggestion, filters)
        if not path:
            return None
        self._target = Path(path if path.lower().endswith(endings) else f"{path}{endings[0]}")
        self._pair = self._chosen()
        return self._target

    def _measure(self, on_value: Callable[[Any], None]) -> None:
        with errors_shown(self.host):
            self._start("export-measure", self._bench.measure(*self._pair), on_value)
            self._bar.say(_("Measuring..."))

    def _still_there(self) -> bool:
        if all(node is not None and node.GetScene() is not None for node in self._pair):
            return True
        self._say(_("Not exported: the segmentation or its CT was removed in the meantime."))
        return False

    def _start(self, name: str, pending: Pending, on_value: Callable[[Any], None]) -> None:
        self.host.start_work(name, pending, on_value)
        self._bar.watch(pending, self.update)
        self.update()

    def _say(self, text: str) -> None:
        self.ui.exportResultLabel.text = text
        self.ui.exportResultLabel.setVisible(bool(text))
