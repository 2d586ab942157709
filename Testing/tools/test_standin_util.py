"""slicer.util is the real one: only pip is replaced, and Qt's exec where a user would be waited for."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

import standin
from standin.app import App


@pytest.fixture
def app() -> Iterator[App]:
    running = standin.start()
    running.dialogs.clear()
    yield running
    running.dialogs.clear()
    running.answers.clear()
    running.check()


def util() -> Any:
    import slicer

    return slicer.util


def test_no_function_but_pip_is_replaced(app: App) -> None:
    functions = {name: value for name, value in vars(util()).items() if inspect.isfunction(value)}
    own = {name for name, function in functions.items() if inspect.unwrap(function).__module__ == "slicer.util"}
    # contextmanager is imported by slicer.util; the two others have no slicer.packaging to call in the wheel
    assert set(functions) - own <= {"contextmanager"}
    replaced = {name for name in util().__all__ if not inspect.isfunction(getattr(util(), name, inspect.isfunction))}
    assert {"loadUI", "findChildren", "childWidgetVariables", "errorDisplay", "delayDisplay"} <= own
    assert not {"pip_install", "pip_uninstall"} & own and "pip_install" in replaced


@pytest.mark.parametrize(
    ("name", "kind"),
    [("infoDisplay", "info"), ("warningDisplay", "warning"), ("errorDisplay", "error"), ("messageBox", "message"),
     ("confirmOkCancelDisplay", "confirm"), ("confirmYesNoDisplay", "confirm"),
     ("confirmRetryCloseDisplay", "confirm")],
)  # fmt: skip
def test_a_dialog_is_recorded_by_what_it_looks_like(app: App, name: str, kind: str) -> None:
    getattr(util(), name)("The text", detailedText="More of it")
    assert app.dialogs == [(kind, "The text")]


def test_a_question_gets_the_answer_of_the_user(app: App) -> None:
    app.answers.extend([False, True, lambda text: text == "Retry?"])
    assert util().confirmOkCancelDisplay("Really?") is False
    assert util().confirmYesNoDisplay("Really?") is True
    assert util().confirmRetryCloseDisplay("Retry?") is True


def test_in_testing_mode_nobody_is_asked_and_the_answer_is_no(app: App) -> None:
    app.application._testing = True
    try:
        util().errorDisplay("It failed")
        # Meant as True: slicer.util compares that with the number of the button.
        assert util().confirmOkCancelDisplay("Really?") is False
        assert util().confirmRetryCloseDisplay("Again?") is False
    finally:
        app.application._testing = False
    assert app.dialogs == []


def test_a_missing_ui_file_is_an_error(app: App, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="file not found"):
        util().loadUI(str(tmp_path / "None.ui"))


def test_pip_takes_the_arguments_of_slicers_only(app: App) -> None:
    util().pip_install("numpy", requester="LN-Seg-FM")
    with pytest.raises(TypeError):
        util().pip_install("numpy", upgrade=True)
    assert app.dialogs == [("pip", "numpy")]
