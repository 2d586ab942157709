"""Correct a segmentation and accept it as a case for the adaptation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import slicer
from slicer.i18n import tr as _

from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.cases.case_info import CaseInfo
from lnsegfm.images.input_options import InputOptions, Notes
from LNSegFMLib.panels.common.input_questions import ask, sort_of
from LNSegFMLib.panels.common.panel_host import PanelHost, errors_shown
from LNSegFMLib.panels.common.section import ParameterBinding, Section
from LNSegFMLib.panels.correcting.embedded_editing import Editing
from LNSegFMLib.scene.drafts import set_accepted
from LNSegFMLib.scene.regions import place_in
from LNSegFMLib.scene.segmentation_bench import Workbench
from LNSegFMLib.scene.segments.lymph_node_records import records_of, segments_apart
from LNSegFMLib.scene.segments.segmentations import other_segments
from LNSegFMLib.scene.views import open_segment_editor
from LNSegFMLib.texts.lymph_node_columns import accept_question

WORK = "accept"


class CorrectSection(Section):
    """The part of the panel with the Segment Editor and the acceptance.

    Args:
        host: The module's widget.
        ui_file: Path of CorrectSection.ui.
        bench: Does the work.
        on_next: Opens the next volume of the worklist.

    Attributes:
        editing: The embedded Segment Editor.
    """

    def __init__(self, host: PanelHost, ui_file: str, bench: Workbench, on_next: Callable[[], object]) -> None:
        super().__init__(host, ui_file)
        self._bench, self._on_next = bench, on_next
        self._said_for: tuple[Any, Any] = (None, None)  # the pair under which caseLabel says something
        ui = self.ui
        self.binding = ParameterBinding(host, {}, nodes={"CheckedRoi": ui.checkedRoiSelector})
        self.editing = Editing(ui, self._pair)
        for button, slot in ((ui.editButton, self.on_edit), (ui.acceptButton, self.on_accept)):
            button.connect("clicked(bool)", slot)
        ui.noNodesCheckBox.connect("toggled(bool)", self._update_buttons)
        ui.checkedRoiSelector.connect("nodeAddedByUser(vtkMRMLNode*)", self._on_roi_added)

    def update(self) -> None:
        """Show the pair that is chosen."""
        self.binding.show()
        if self.host.parameter_node is not None and self._pair() != self._said_for:
            self._say("")
        self.editing.show()
        self._update_buttons()

    def enter(self) -> None:
        """Let the editor work in the views."""
        self.editing.enter()

    def exit(self) -> None:
        """Stop editing."""
        self.editing.exit()

    def scene_closes(self) -> None:
        """Let go of the scene's nodes."""
        self.editing.forget()
        self.ui.noNodesCheckBox.checked = False
        self.ui.caseLabel.text, self._said_for = "", (None, None)

    def close(self) -> None:
        """Let go of the views and of the scene."""
        self.editing.close()

    def _say(self, text: str) -> None:
        """Show a sentence about a case, until another pair is chosen."""
        self.ui.caseLabel.text = text
        self._said_for = self._pair() if self.host.parameter_node is not None else (None, None)

    def _pair(self) -> tuple[Any, Any]:
        node = self.host.parameter_node
        if node is None:
            return None, None
        return node.GetNodeReference("Volume"), node.GetNodeReference("Segmentation")

    def _update_buttons(self, *_changed: Any) -> None:
        volume, segmentation = self._pair()
        ui = self.ui
        labelled = segmentation is not None or ui.noNodesCheckBox.checked
        ui.editButton.enabled = volume is not None and segmentation is not None
        ui.acceptButton.enabled = volume is not None and labelled and not self.host.is_working(WORK)

    # --- What the user does

    def on_edit(self) -> None:
        """Open Slicer's Segment Editor."""
        volume_node, segmentation_node = self._pair()
        open_segment_editor(segmentation_node, volume_node)

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
            apart = [record for record in records_of(segmentation_node) if record.is_apart]
            without = segments_apart(segmentation_node)
            if apart and not slicer.util.confirmOkCancelDisplay(accept_question(apart, without)):
                return
            no_nodes = self.ui.noNodesCheckBox.checked

            def store(options: InputOptions) -> None:
                notes: Notes = []
                work = self._bench.accept(
                    segmentation_node, volume_node, no_nodes=no_nodes, checked_roi=roi_node, without=without,
                    options=options, notes=notes,
                )

                def stored(case: CaseInfo) -> None:
                    self._on_accepted(case, segmentation_node, name, notes)

                def failed(problem: UserError | Cancelled) -> None:
                    confirmed = self._confirmed(problem, name, options)
                    if confirmed is None:
                        self._on_problem(problem)
                    else:
                        with errors_shown(self.host):
                            store(confirmed)

                self._say(_("Storing the case..."))
                self.host.start_work(WORK, work, stored, failed)
                self._update_buttons()

            store(InputOptions())

    def _confirmed(
        self, problem: UserError | Cancelled, name: str, options: InputOptions
    ) -> InputOptions | None:
        """Ask about a CT or labels that are not certain; return what to store them with, None for not at all."""
        if not isinstance(problem, UserError) or not sort_of(problem):
            return None
        return ask({name: problem}, options, _("Store the case nevertheless?"))

    def _on_accepted(
        self, case: CaseInfo, segmentation_node: Any | None, volume_name: str, notes: Sequence[str]
    ) -> None:
        ui = self.ui
        ui.noNodesCheckBox.checked = False
        # With its name, for another volume may be open now, or open as the next one.
        text = _("{volume}: stored as {case}, version {version}.").format(
            volume=volume_name, case=case.id, version=case.latest.number
        )
        text = " ".join([text, *notes])
        if case.latest.partial:
            text += " " + _("Voxels outside the ROI are ignored in training.")
        if segmentation_node is not None and segmentation_node.GetScene() is not None:
            left_out = ", ".join(f"'{name}'" for _segment_id, name in other_segments(segmentation_node))
            if left_out:
                text += " " + _("Left out, as no lymph nodes by their names: {names}.").format(names=left_out)
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
