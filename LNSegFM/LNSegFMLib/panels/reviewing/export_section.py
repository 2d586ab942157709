"""The section Export: lymph nodes for other programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from lnsegfm.base.background import Pending
from lnsegfm.lymph_nodes.measurement_table import as_text, write_csv
from LNSegFMLib.panels.common.panel_host import PanelHost, errors_shown
from LNSegFMLib.panels.common.section import Section
from LNSegFMLib.panels.common.work_bar import WorkBar
from LNSegFMLib.scene.dicom_exports import RTSTRUCT, SEG, DicomFormat, export_dicom, is_available
from LNSegFMLib.scene.exports import Measured, table_rows, write_numbers, write_union
from LNSegFMLib.scene.segmentation_bench import Workbench

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
        if self.ui.exportLabelsSelector.itemData(self.ui.exportLabelsSelector.currentIndex) == "number":
            self._measure(self._on_measured_for_labelmap)
        else:
            with errors_shown(self.host):
                self._start("export", write_union(*self._pair, path), self._on_labelmap_written)

    def _on_measured_for_labelmap(self, measured: Measured) -> None:
        if self._still_there():
            with errors_shown(self.host):
                task = write_numbers(*self._pair, self._target, measured)
                self._start("export", task, self._on_labelmap_written)

    def _on_labelmap_written(self, shared: int) -> None:
        text = _("{file} was saved.").format(file=self._target.name)
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
                write_csv(table_rows(self._pair[0], measured), self._target)
                self._say(_("{file} was saved.").format(file=self._target.name))

    def _on_measured_for_copy(self, measured: Measured) -> None:
        if self._still_there():
            rows = table_rows(self._pair[0], measured)
            slicer.app.clipboard().setText(as_text(rows, separator="\t"))
            self._say(_("{count} lymph nodes copied to the clipboard.").format(count=len(rows)))

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
                files = export_dicom(kind, segmentation_node, volume_node, Path(folder))
                text = _("{format} was saved; files: {count}.").format(format=kind.name, count=len(files))
                if kind.with_volume:
                    text += " " + _("They include a copy of the CT.")
                self._say(text)

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
