"""The segmented volumes in the order in which they are worth correcting."""

from __future__ import annotations

from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from lnsegfm.segmentation.worklist import Candidate, rank
from LNSegFMLib.panels.common.panel_host import PanelHost
from LNSegFMLib.panels.common.section import Section
from LNSegFMLib.scene.drafts import accepted_case_of, drafts, expected_benefit_of, volume_of
from LNSegFMLib.scene.segments.lymph_node_records import counted
from LNSegFMLib.scene.shown_pair import show_pair


class WorklistSection(Section):
    """The part of the panel with the worklist.

    Args:
        host: The module's widget.
        ui_file: Path of WorklistSection.ui.
    """

    def __init__(self, host: PanelHost, ui_file: str) -> None:
        super().__init__(host, ui_file)
        self._shown: list[tuple[str, ...]] = []
        ui = self.ui
        header = ui.worklistTable.horizontalHeader()
        header.setMinimumSectionSize(20)
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(1, qt.QHeaderView.Stretch)
        ui.worklistTable.connect("cellClicked(int,int)", self.on_clicked)
        ui.openNextButton.connect("clicked(bool)", self.open_next)
        ui.worklistLabel.text = _(
            "Correct from the top: volumes are sorted by the uncertainty of the model, its estimated Dice error. The "
            "model is expected to learn most from these."
        )

    def update(self) -> None:
        """Rank the segmented volumes of the scene again."""
        nodes = self._nodes()
        ranked = rank(
            Candidate(
                key, expected_benefit_of(node), tuple(record.node for record in counted(node)),
                corrected=bool(accepted_case_of(node)),
            )
            for key, node in nodes.items()
        )
        rows: list[tuple[str, ...]] = [
            (each.key, *_cells(each.position, nodes[each.key]), each.reason) for each in ranked
        ]
        if rows != self._shown:
            self._shown = rows
            self._fill(rows)
        self.ui.openNextButton.enabled = any(not accepted_case_of(node) for node in nodes.values())
        self._mark_open()

    def _nodes(self) -> dict[str, Any]:
        """Return the segmentation to correct of each volume, by its id: the one that is open, else the latest."""
        parameters = self.host.parameter_node
        open_node = None if parameters is None else parameters.GetNodeReference("Segmentation")
        of_volume: dict[str, Any] = {}
        for node in drafts():
            volume_node = volume_of(node)
            volume_id = "" if volume_node is None else volume_node.GetID()
            if of_volume.get(volume_id) is not open_node or open_node is None:
                of_volume[volume_id] = node
        return {node.GetID(): node for node in of_volume.values()}

    def _fill(self, rows: list[tuple[str, ...]]) -> None:
        table = self.ui.worklistTable
        table.clearContents()
        table.setRowCount(len(rows))
        for row, (key, *cells, reason) in enumerate(rows):
            for column, text in enumerate(cells):
                item = qt.QTableWidgetItem(text)
                item.setToolTip("\n".join(part for part in (text, reason) if part))
                item.setData(qt.Qt.UserRole, key)
                table.setItem(row, column, item)

    def _mark_open(self) -> None:
        parameters = self.host.parameter_node
        open_id = "" if parameters is None else parameters.GetNodeReferenceID("Segmentation")
        table = self.ui.worklistTable
        row = next((row for row, cells in enumerate(self._shown) if cells[0] == open_id), -1)
        if row < 0:
            table.clearSelection()
        elif table.currentRow() != row:
            table.setCurrentCell(row, 0)

    # --- What the user does

    def on_clicked(self, row: int, column: int) -> None:
        """Open the volume of a row."""
        self._open(self.ui.worklistTable.item(row, column).data(qt.Qt.UserRole))

    def open_next(self, *_clicked: bool) -> None:
        """Open the first volume that is not corrected yet, if there is one."""
        self.update()
        for key, *_cells_and_reason in self._shown:
            if not accepted_case_of(slicer.mrmlScene.GetNodeByID(key)):
                self._open(key)
                return

    def _open(self, key: str) -> None:
        node = slicer.mrmlScene.GetNodeByID(key)
        volume_node = volume_of(node)
        if node is None or volume_node is None:
            return  # removed since the table was made, which is about to follow
        show_pair(volume_node, node)  # also when it is open already, but the views show something else
        self.host.choose_pair(volume_node, node)


def _cells(position: int, node: Any) -> tuple[str, str, str, str, str]:
    benefit, case_id, volume_node = expected_benefit_of(node), accepted_case_of(node), volume_of(node)
    return (
        str(position), "" if volume_node is None else volume_node.GetName(), str(len(counted(node))),
        "" if benefit is None else f"{100 * benefit:.1f} %",
        f"\N{CHECK MARK} {case_id}" if case_id else _("to correct"),
    )
