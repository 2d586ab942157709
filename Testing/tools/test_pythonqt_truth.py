"""Qt objects are true and false as in PythonQt, and no code of the modules depends on it."""

from __future__ import annotations

import ast
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

import standin
from standin.app import App
from standin.failures import CallbackFailed

REPOSITORY = Path(__file__).resolve().parents[2]
MODULES = (REPOSITORY / "LNSegFM", REPOSITORY / "LNSegFMFineTune")
PLACES = """<ui version="4.0"><widget class="QWidget" name="Panel"><layout class="QVBoxLayout" name="outerLayout">
<item><layout class="QVBoxLayout" name="emptyLayout" /></item>
<item><widget class="QWidget" name="emptyPlace"><layout class="QVBoxLayout" name="innerLayout" /></widget></item>
<item><layout class="QVBoxLayout" name="filledLayout">
<item><widget class="QLabel" name="label" /></item></layout></item>
</layout></widget></ui>"""


@pytest.fixture
def app() -> Iterator[App]:
    running = standin.start()
    yield running
    running.check()


def qt() -> Any:
    return sys.modules["qt"]


@pytest.mark.parametrize(
    "make",
    [
        "QVBoxLayout()", "QHBoxLayout()", "QGridLayout()", "QFormLayout()", "QMenu()", "QPixmap()", "QImage()",
        "QIcon()", "QSize()", "QSize(0, 5)", "QRect(1, 1, 0, 9)", "QPoint(0, 0)", "QColor()", "QDate()", "QDateTime()",
        "QModelIndex()", "QKeySequence()", "QUrl()", "QByteArray()", "QElapsedTimer()", "QTextDocument()",
    ],
)  # fmt: skip
def test_what_is_null_empty_or_invalid_is_false(app: App, make: str) -> None:
    assert not eval(f"qt.{make}", {"qt": qt()})


@pytest.mark.parametrize(
    "make",
    ["QWidget()", "QComboBox()", "QListWidget()", "QTableWidget()", "QTimer()", "QSize(1, 1)", "QPoint(0, 1)",
     "QTableWidgetItem()", "QFont()", "QStandardItemModel()", "QButtonGroup()", "QColor(0, 0, 0)"],
)  # fmt: skip
def test_other_objects_are_true_however_little_is_in_them(app: App, make: str) -> None:
    assert eval(f"qt.{make}", {"qt": qt()})


def test_a_layout_is_true_once_it_holds_a_visible_widget(app: App) -> None:
    window = qt().QWidget()
    layout = qt().QVBoxLayout(window)
    label = qt().QLabel("text")
    layout.addWidget(label)
    assert layout
    label.hide()
    assert not layout


def test_a_deleted_object_is_false(app: App) -> None:
    widget = qt().QWidget()
    widget.deleteLater()
    app.process_events()
    assert not widget


def test_an_empty_layout_is_not_found_by_its_name(app: App, tmp_path: Path) -> None:
    import slicer

    (tmp_path / "Places.ui").write_text(PLACES)
    panel = slicer.util.loadUI(str(tmp_path / "Places.ui"))
    ui = slicer.util.childWidgetVariables(panel)
    assert hasattr(ui, "emptyPlace") and hasattr(ui, "filledLayout")
    assert not hasattr(ui, "emptyLayout") and not hasattr(ui, "innerLayout")
    with pytest.raises(RuntimeError, match="does not exist"):
        slicer.util.findChild(panel, "emptyLayout")
    ui.emptyPlace.layout().addWidget(qt().QLabel("text"))
    assert hasattr(slicer.util.childWidgetVariables(panel), "innerLayout")


def test_module_code_must_not_ask_for_the_truth_of_such_an_object(app: App) -> None:
    code = "def has(icon):\n    return bool(icon)"
    module: dict[str, Any] = {"__name__": "SomeModuleLib.panels.buttons"}
    exec(code, module)
    assert not module["has"](qt().QIcon())
    with pytest.raises(CallbackFailed, match=r"truth of a QIcon.*SomeModuleLib\.panels\.buttons"):
        app.check()


def test_no_code_reads_a_layout_by_its_name() -> None:
    layouts = {
        element.get("name")
        for module in MODULES
        for path in (module / "Resources" / "UI").glob("*.ui")
        for element in ET.parse(path).iter("layout")
    }
    assert "verticalLayout" in layouts
    for path in (path for module in MODULES for path in module.rglob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        read = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        read |= {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        assert not read & layouts, path
