"""Correct a segmentation and accept it as a case for the adaptation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from LNSegFMLib.core.case_info import CaseInfo
from LNSegFMLib.core.errors import Cancelled, UserError
from LNSegFMLib.panels import segment_editor
from LNSegFMLib.panels.host import PanelHost, errors_shown
from LNSegFMLib.panels.section import ParameterBinding, Section
from LNSegFMLib.panels.segment_editor import EmbeddedSegmentEditor
from LNSegFMLib.scene.drafts import set_accepted
from LNSegFMLib.scene.regions import place_in
from LNSegFMLib.scene.views import open_segment_editor
from LNSegFMLib.scene.workbench import Workbench

WORK = "accept"


class CorrectSection(Section):
    """The part of the panel with the Segment Editor and the acceptance.

    Args:
        host: The module's widget.
        ui_file: Path of CorrectSection.ui.
        bench: Does the work.
        on_next: Opens the next volume of the worklist.
    """

    def __init__(self, host: PanelHost, ui_file: str, bench: Workbench, on_next: Callable[[], object]) -> None:
        super().__init__(host, ui_file)
        self._bench, self._on_next = bench, on_next
        self.editor: EmbeddedSegmentEditor | None = None
        self._entered = False
        self._said_for: tuple[Any, Any] = (None, None)  # the pair under which caseLabel says something
        ui = self.ui
        self.binding = ParameterBinding(host, nodes={"CheckedRoi": ui.checkedRoiSelector})
        has_editor = segment_editor.editor_available()
        ui.editButton.setVisible(not has_editor)
        ui.editorCollapsibleButton.setVisible(has_editor)
        ui.editorCollapsibleButton.connect("contentsCollapsed(bool)", self._on_editor_collapsed)
        for button, slot in ((ui.editButton, self.on_edit), (ui.acceptButton, self.on_accept)):
            button.connect("clicked(bool)", slot)
        ui.softTissueButton.connect("toggled(bool)", self.on_soft_tissue)
        ui.noNodesCheckBox.connect("toggled(bool)", self._update_buttons)
        ui.checkedRoiSelector.connect("nodeAddedByUser(vtkMRMLNode*)", self._on_roi_added)

    def _on_editor_collapsed(self, collapsed: bool) -> None:
        # Made when it is opened for the first time: it takes long, and not everybody corrects.
        if not collapsed and self.editor is None:
            self.editor = EmbeddedSegmentEditor(self.ui.editorLayout)
        if self.editor is not None and self._entered:
            if collapsed:
                self.editor.exit()
            else:
                self.editor.enter()
        self.update()

    def update(self) -> None:
        """Show the pair that is chosen."""
        self.binding.show()
        if self.host.parameter_node is not None and self._pair() != self._said_for:
            self._say("")
        if self.editor is not None and self.host.parameter_node is not None:
            self.editor.show(*self._pair())
            # Without a signal, which would replace a range of the user's own.
            button = self.ui.softTissueButton
            blocked = button.blockSignals(True)
            button.checked = segment_editor.is_restricted()
            button.blockSignals(blocked)
        self._update_buttons()

    def enter(self) -> None:
        """Let the editor work in the views."""
        self._entered = True
        if self.editor is not None and not self.ui.editorCollapsibleButton.collapsed:
            self.editor.enter()

    def exit(self) -> None:
        """Stop editing."""
        self._entered = False
        if self.editor is not None:
            self.editor.exit()

    def scene_closes(self) -> None:
        """Let go of the scene's nodes."""
        if self.editor is not None:
            self.editor.forget()
        self.ui.noNodesCheckBox.checked = False
        self.ui.caseLabel.text, self._said_for = "", (None, None)

    def close(self) -> None:
        """Let go of the views."""
        self.exit()

    def select_segment(self, segment_id: str) -> None:
        """Let the embedded editor paint a segment from now on."""
        if self.editor is not None:
            self.editor.select_segment(segment_id)

    def _say(self, text: str) -> None:
        """Show a sentence about a case, until another pair is chosen."""
        self.ui.caseLabel.text = text
        self._said_for = self._pair() if self.host.parameter_node is not None else (None, None)

    def _pair(self) -> tuple[Any, Any]:
        node = self.host.parameter_node
        return node.GetNodeReference("Volume"), node.GetNodeReference("Segmentation")

    def _update_buttons(self, *_changed: Any) -> None:
        volume, segmentation = self._pair() if self.host.parameter_node is not None else (None, None)
        ui = self.ui
        labelled = segmentation is not None or ui.noNodesCheckBox.checked
        ui.editButton.enabled = volume is not None and segmentation is not None
        ui.acceptButton.enabled = volume is not None and labelled and not self.host.is_working(WORK)

    # --- What the user does

    def on_edit(self) -> None:
        """Open Slicer's Segment Editor."""
        volume_node, segmentation_node = self._pair()
        open_segment_editor(segmentation_node, volume_node)

    def on_soft_tissue(self, wanted: bool) -> None:
        """Spare fat, air and bone, or not."""
        segment_editor.restrict_to_soft_tissue(wanted)

    def _on_roi_added(self, roi_node: Any) -> None:
        volume_node, _segmentation = self._pair()
        if volume_node is not None:
            place_in(roi_node, volume_node)

    def on_accept(self) -> None:
        """Store the volume and its segmentation as a case."""
        with errors_shown(self.host):
            volume_node, segmentation_node = self._pair()
            name = volume_node.GetName()
            roi_node = self.ui.checkedRoiSelector.currentNode()
            work = self._bench.accept(
                segmentation_node, volume_node, no_nodes=self.ui.noNodesCheckBox.checked, checked_roi=roi_node
            )

            def stored(case: CaseInfo) -> None:
                self._on_accepted(case, segmentation_node, name)

            self._say(_("Storing the case..."))
            self.host.start_work(WORK, work, stored, self._on_problem)
            self._update_buttons()

    def _on_accepted(self, case: CaseInfo, segmentation_node: Any | None, volume_name: str) -> None:
        ui = self.ui
        ui.noNodesCheckBox.checked = False
        # With its name, for another volume may be open now, or open as the next one.
        text = _("{volume}: stored as {case}, version {version}.").format(
            volume=volume_name, case=case.id, version=case.latest.number
        )
        if case.latest.partial:
            text += " " + _("Outside of the ROI nothing will be learned from it.")
        if segmentation_node is not None and segmentation_node.GetScene() is not None:
            set_accepted(segmentation_node, case.id)
            # The next volume has other checked parts.
            ui.checkedRoiSelector.setCurrentNode(None)
            if ui.openNextCheckBox.checked:
                self._on_next()
        self._say(text)
        self.host.update()

    def _on_problem(self, problem: UserError | Cancelled) -> None:
        if isinstance(problem, UserError):
            self._say(problem.what)
            self.host.show_error(problem)
        else:
            self._say(_("Cancelled."))
        self._update_buttons()
