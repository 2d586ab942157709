"""The notice that a CT's transform has to be hardened before it can be segmented, and the button that does it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from LNSegFMLib.panels.common.panel_host import PanelHost, errors_shown
from LNSegFMLib.scene.transforms import harden, transform_problem


class TransformNotice(VTKObservationMixin):
    """Follows the chosen volume and its transform.

    Args:
        host: The module's widget.
        ui: Has ``transformLabel`` and ``hardenButton``.
        on_hardened: Called with what was done, in a sentence, and the id of the volume node.
    """

    def __init__(self, host: PanelHost, ui: Any, on_hardened: Callable[[str, str], object]) -> None:
        VTKObservationMixin.__init__(self)
        self._host, self._ui, self._on_hardened = host, ui, on_hardened
        self._volume_node: Any = None
        ui.hardenButton.connect("clicked(bool)", self.on_harden)
        self.follow(None)

    def follow(self, volume_node: Any) -> None:
        """Show what is to be said of a volume node, now and whenever its transform changes; None for none."""
        if volume_node is not self._volume_node:
            self.removeObservers()
            self._volume_node = volume_node
            if volume_node is not None:
                self.addObserver(volume_node, slicer.vtkMRMLTransformableNode.TransformModifiedEvent, self._show)
        self._show()

    def _show(self, *_event: Any) -> None:
        problem = transform_problem(self._volume_node)
        text = _(
            '"{volume}" cannot be segmented as it is. {problem} Hardening gives it the voxels that it has in the '
            "patient, which takes some seconds; the file on disk is not changed."
        )
        named = text.format(volume=self._volume_node.GetName(), problem=problem) if problem else ""
        self._ui.transformLabel.text = named
        self._ui.transformLabel.setVisible(bool(problem))
        self._ui.hardenButton.setVisible(bool(problem))

    def on_harden(self) -> None:
        """Harden the transform of the chosen volume."""
        volume_node = self._volume_node
        if volume_node is None:
            return
        with errors_shown(self._host):
            with slicer.util.WaitCursor():
                resampled = harden(volume_node)
            text = (
                _('The transform of "{volume}" is hardened; its voxels were resampled. To undo it, load the CT again.')
                if resampled else _('The transform of "{volume}" is hardened; its voxels stayed as they are.')
            )
            self._on_hardened(text.format(volume=volume_node.GetName()), volume_node.GetID())
        self._show()
