"""The two modules share the library and MRML nodes; neither reaches into the other's panel, and one way alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
OTHER = {"LNSegFM": "LNSegFMFineTune", "LNSegFMFineTune": "LNSegFM"}
WIDGET_CALLS = {"getModuleWidget", "getModuleGui", "getNewModuleWidget", "getNewModuleGui", "getModuleLogic"}


def reaches(tree: ast.AST, other: str) -> Iterator[str]:
    """Yield what reaches into the panel of another module, or the logic that hangs on it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ("widgetRepresentation", other.lower(), f"{other}Widget"):
            yield f"line {node.lineno}: .{node.attr}"
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            texts = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
            if (name in WIDGET_CALLS and other in texts) or (name == "getattr" and other.lower() in texts):
                yield f"line {node.lineno}: {name}({', '.join(map(repr, texts))})"


@pytest.mark.parametrize("module", OTHER)
def test_no_module_reaches_into_the_panel_of_the_other(module: str) -> None:
    found = {}
    for path in (REPOSITORY / module).rglob("*.py"):
        faults = list(reaches(ast.parse(path.read_text(encoding="utf-8")), OTHER[module]))
        if faults:
            found[path.name] = faults
    assert found == {}


def test_a_reach_into_the_other_panel_is_found() -> None:
    for line in (
        "slicer.modules.lnsegfm.widgetRepresentation().self().useModel(1)", 'getattr(slicer.modules, "lnsegfm", None)',
        'slicer.util.getModuleWidget("LNSegFM").refreshModels()', "slicer.modules.LNSegFMWidget",
    ):
        assert list(reaches(ast.parse(line), "LNSegFM")), line


def test_the_main_module_does_not_import_the_one_for_fine_tuning() -> None:
    for path in (REPOSITORY / "LNSegFM").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.startswith("LNSegFMFineTune")], path.name
