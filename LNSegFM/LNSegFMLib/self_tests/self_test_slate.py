"""The empty scene and home folder that a self-test works in; afterwards Slicer is as it was before."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import slicer

from LNSegFMLib.scene.views import show_module

HOME_VARIABLE = "LNSEGFM_HOME"
_DATA = ("vtkMRMLVolumeNode", "vtkMRMLSegmentationNode", "vtkMRMLMarkupsNode", "vtkMRMLTransformNode")
_QUESTIONS = ("confirmOkCancelDisplay", "confirmYesNoDisplay")
_COMPLAINTS = ("errorDisplay", "warningDisplay")


class Slate:
    """What the self-test works on.

    Attributes:
        home: The temporary home folder, which `LNSEGFM_HOME` names.
        complaints: What error and warning dialogs would have said.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.complaints: list[str] = []

    def check(self) -> None:
        """Raise AssertionError when a dialog would have complained."""
        if self.complaints:
            raise AssertionError("Expected no error dialog, but the panel said: " + " | ".join(self.complaints))


@contextmanager
def clean_slate(close: Callable[[], object], refresh: Callable[[], object]) -> Iterator[Slate]:
    """Give a self-test an empty scene and home, with all questions answered by yes.

    Args:
        close: Ends what still works in the temporary home; called while that is there.
        refresh: Lets the panels show the user's own home again.

    Yields:
        The slate. When the test has passed, complaints of dialogs still make it fail.

    Raises:
        AssertionError: The scene holds the user's data, which the self-test would remove; or a dialog complained.
    """
    _refuse_to_remove_data()
    manager = slicer.app.layoutManager()
    module = slicer.util.selectedModule() if slicer.util.mainWindow() is not None else ""
    layout = None if manager is None else manager.layout
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        slate = Slate(Path(folder))
        try:
            with mock.patch.dict(os.environ, {HOME_VARIABLE: folder}), _without_dialogs(slate.complaints):
                slicer.mrmlScene.Clear(0)
                try:
                    yield slate
                    slate.check()
                finally:
                    close()
                    slicer.mrmlScene.Clear(0)
        finally:
            refresh()
            if manager is not None and manager.layout != layout:
                manager.setLayout(layout)
            if module:
                show_module(module)


def _refuse_to_remove_data() -> None:
    nodes = [node for name in _DATA for node in slicer.util.getNodesByClass(name)]
    names = [node.GetName() for node in nodes if not node.GetHideFromEditors()]
    if names:
        raise AssertionError(
            f"Expected an empty scene, for the self-test closes it. It holds {', '.join(names[:3])}"
            f"{', ...' if len(names) > 3 else ''}. Save the scene if you need it, close it, and run the test again."
        )


@contextmanager
def _without_dialogs(complaints: list[str]) -> Iterator[None]:
    def complain(text: str, *_arguments: Any, **_options: Any) -> None:
        complaints.append(text)

    def agree(*_arguments: Any, **_options: Any) -> bool:
        return True

    with ExitStack() as patches:
        for names, answer in ((_QUESTIONS, agree), (_COMPLAINTS, complain)):
            for name in names:
                patches.enter_context(mock.patch.object(slicer.util, name, answer))
        yield
