"""The stand-in follows PythonQt where it differs from PySide6, or refuses what would go wrong in Slicer.

Every expectation here was read off PythonQt with Qt 5.15 (see docs/explanation/standin.md).
"""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

import standin
from standin.app import App

REPOSITORY = Path(__file__).resolve().parents[2]
MODULE_CODE = [
    path for module in ("LNSegFM", "LNSegFMFineTune") for path in sorted((REPOSITORY / module).rglob("*.py"))
]


@pytest.fixture
def app() -> Iterator[App]:
    running = standin.start()
    yield running
    running.check()


def qt() -> Any:
    return sys.modules["qt"]


def in_module(expression: str, **names: Any) -> Any:
    """Evaluate as code of a module does, which sees Qt as PythonQt shows it."""
    return eval(expression, {"__name__": "SomeModuleLib.panels.part", "qt": qt(), **names})


# Values that come out of Qt


def test_lists_come_back_as_tuples(app: App) -> None:
    table = qt().QTableWidget(2, 2)
    table.setItem(0, 0, qt().QTableWidgetItem("x"))
    table.selectRow(0)
    menu = qt().QMenu()
    for value in (table.selectedItems(), table.selectedIndexes(), table.selectionModel().selectedRows(),
                  table.children(), table.findChildren(qt().QWidget), menu.actions()):  # fmt: skip
        assert type(value) is tuple
    item, box = qt().QTableWidgetItem(), qt().QComboBox()
    item.setData(qt().Qt.UserRole, ["a", 1])
    box.addItem("entry", ["b"])
    assert item.data(qt().Qt.UserRole) == ("a", 1) and box.itemData(0) == ("b",) == box.currentData


def test_an_enumeration_is_an_integer(app: App) -> None:
    item, edit = qt().QTableWidgetItem(), qt().QLineEdit()
    edit.echoMode = 2
    assert edit.echoMode == qt().QLineEdit.Password == 2
    assert not item.checkState() and item.checkState() == 0
    assert {qt().Qt.Checked: "yes"}[2] == "yes" and int(qt().QMessageBox.Yes) == 16384
    assert f"{qt().Qt.Checked!s}" == "2" and qt().Qt.UserRole + 1 == 257


def test_a_byte_array_is_read_with_data_only(app: App) -> None:
    array = qt().QByteArray(b"abc")
    assert bytes(array.data()) == b"abc"
    for function in (bytes, len):
        with pytest.raises(TypeError):
            function(array)


# Values that go into Qt


def test_numbers_are_converted_as_in_pythonqt(app: App) -> None:
    spin, real = qt().QSpinBox(), qt().QDoubleSpinBox()
    spin.value = 2.7
    assert spin.value == 2
    spin.value, real.value = np.int64(5), np.float32(1.5)
    assert (spin.value, real.value) == (5, 1.5)
    for wrong in ("3", None):
        with pytest.raises(AttributeError, match="does not accept"):
            spin.value = wrong


def test_none_is_no_text(app: App) -> None:
    label = qt().QLabel()
    with pytest.raises(AttributeError, match="'None'"):
        label.text = None
    for call in (label.setText, label.setToolTip, qt().QTableWidgetItem().setText):
        with pytest.raises(ValueError, match="'None'"):
            call(None)
    label.text = Path("scan.nrrd")
    assert label.text == "scan.nrrd"


# Objects


def test_a_widget_is_no_instance_of_its_base_class(app: App) -> None:
    label, box = qt().QLabel(), sys.modules["ctk"].ctkComboBox()
    assert in_module("isinstance(label, qt.QLabel)", label=label)
    assert not in_module("isinstance(label, qt.QWidget)", label=label)
    assert not in_module("isinstance(box, qt.QComboBox)", box=box) and box.inherits("QComboBox")

    class Filter(qt().QObject):
        """A Python class has the class it is derived from."""

    assert in_module("isinstance(mine, qt.QObject) and isinstance(mine, Filter)", mine=Filter(), Filter=Filter)


def test_a_deleted_object_gives_a_value_error(app: App) -> None:
    label = qt().QLabel("text")
    label.deleteLater()
    app.process_events()
    for read in (lambda: label.text, lambda: label.setText("a"), lambda: hasattr(label, "text")):
        with pytest.raises(ValueError, match="destroyed QLabel"):
            read()


@pytest.mark.parametrize(
    "expression",
    ["qt.QFormLayout().setRowVisible", "qt.QColor.fromString", "qt.QImage().flipped", "qt.QTimer().intervalAsDuration",
     "qt.QPoint().toTuple", "qt.QDateTime().toPython"],
)  # fmt: skip
def test_what_only_qt_6_or_pyside_has_is_refused(app: App, expression: str) -> None:
    with pytest.raises(AttributeError, match="Qt 5"):
        in_module(expression)


def test_only_functions_and_methods_get_fewer_arguments_than_the_signal_has(app: App) -> None:
    button, seen = qt().QPushButton(), []
    partial = functools.partial(lambda *all_: seen.append(all_), 7)
    slots = (lambda: seen.append(()), lambda on: seen.append((on,)), partial)
    for slot in slots:
        button.connect("clicked(bool)", slot)
    button.click()
    assert seen == [(), (False,), (7, False)]


# Code that runs here and not in PythonQt


def test_no_constructor_of_qt_gets_keywords() -> None:
    for path in MODULE_CODE:
        for call in (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)):
            assert not (_is_qt(call.func) and call.keywords), f"{path.name}, line {call.lineno}"


def test_no_enumeration_is_compared_by_identity() -> None:
    for path in MODULE_CODE:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Compare) and any(isinstance(op, ast.Is | ast.IsNot) for op in node.ops):
                assert not any(map(_is_qt, [node.left, *node.comparators])), f"{path.name}, line {node.lineno}"


def _is_qt(node: ast.expr) -> bool:
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name) and node.id in ("qt", "ctk")
