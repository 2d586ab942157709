"""What would only be a red line in Slicer's log fails a test."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

import standin
from standin.app import App
from standin.failures import CallbackFailed


@pytest.fixture
def app() -> Iterator[App]:
    running = standin.start()
    running.check()
    yield running
    running.dialogs.clear()
    running.close_scene()
    running.check()


def read_missing_file() -> None:
    """vtkErrorMacro of a filter without observers."""
    import vtk

    reader = vtk.vtkSTLReader()
    reader.SetFileName("/no/such/file.stl")
    reader.Update()


def warn_of_second_layout() -> None:
    """A warning of Qt itself."""
    qt: Any = sys.modules["qt"]
    widget = qt.QWidget()
    qt.QVBoxLayout(widget)
    qt.QVBoxLayout(widget)


@pytest.mark.parametrize(
    ("cause", "text"),
    [
        (read_missing_file, "such/file.stl"),
        (warn_of_second_layout, "already has a layout"),
        (lambda: logging.error("The cache is broken"), "The cache is broken"),
        (lambda: logging.getLogger("some.library").critical("It is over"), "some.library CRITICAL: It is over"),
    ],
)
def test_a_message_in_the_log_is_a_failure(app: App, cause: Callable[[], None], text: str) -> None:
    cause()
    with pytest.raises(CallbackFailed, match=text):
        app.check()


def test_an_expected_message_is_none(app: App) -> None:
    with app.expected_message("cache|such/file|returned failure") as seen:
        logging.error("The cache is broken")
        read_missing_file()
        app.check()
    assert "The cache is broken" in seen[0] and len(seen) > 1


def test_a_message_that_is_expected_and_does_not_come_is_a_failure(app: App) -> None:
    with pytest.raises(AssertionError, match="No message matched"), app.expected_message("never"):
        logging.warning("A warning of Python code is none of VTK's")


def test_an_error_that_is_shown_to_the_user_is_no_message(app: App) -> None:
    import slicer

    slicer.util.errorDisplay("The case cannot be stored.")
    assert app.dialogs == [("error", "The case cannot be stored.")]
    app.check()
