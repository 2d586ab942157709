"""The house rules, read off the tree itself."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import jsonschema
import pytest

from lnsegfm.base.files import sha256

REPOSITORY = Path(__file__).resolve().parents[2]
RESOURCES = REPOSITORY / "LNSegFM" / "Resources"
MODULES = ("LNSegFM", "LNSegFMFineTune")
TORCH = {"torch", "nnunetv2", "dynamic_network_architectures", "batchgenerators", "batchgeneratorsv2", "acvl_utils"}
LIBRARIES = ("LNSegFM/lnsegfm", "LNSegFM/LNSegFMLib", "LNSegFMFineTune/LNSegFMFineTuneLib")
# The most Python files that a room may hold before it is to be divided. The benchmark has a file per table, the command
# line one per noun.
MOST_FILES = {"benchmark": 24, "cli": 20}
USUAL_MOST = 18


def imported(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("module", MODULES)
def test_module_files_import_neither_torch_nor_nnunet(module: str) -> None:
    names = imported(ast.parse((REPOSITORY / module / f"{module}.py").read_text(encoding="utf-8")))
    assert not {name for name in names if name.split(".")[0] in TORCH or ".engine" in name}


def test_no_room_is_crowded() -> None:
    rooms = {path.parent for library in LIBRARIES for path in (REPOSITORY / library).rglob("*.py")}
    counts = {room: len([path for path in room.glob("*.py") if path.name != "__init__.py"]) for room in rooms}
    assert {str(room): n for room, n in counts.items() if n > MOST_FILES.get(room.name, USUAL_MOST)} == {}


def test_a_file_name_means_one_thing() -> None:
    names = [
        path.stem for library in LIBRARIES for path in (REPOSITORY / library).rglob("*.py")
        if path.stem not in ("__init__", "__main__")
    ]
    assert sorted({name for name in names if names.count(name) > 1}) == []


@pytest.mark.parametrize("module", MODULES)
def test_cmake_lists_every_file_of_the_module(module: str) -> None:
    folder = REPOSITORY / module
    text = (folder / "CMakeLists.txt").read_text(encoding="utf-8")
    text = text.replace("${MODULE_NAME}", module)

    def listed(variable: str) -> set[str]:
        found = re.search(rf"set\({variable}\n(.*?)\)", text, re.DOTALL)
        assert found, f"{variable} is not set"
        return set(found.group(1).split())

    # Researchers get these from the pip package; clinicians have no use for them.
    left_out = folder / "lnsegfm" / "research"
    scripts = {path.relative_to(folder).as_posix() for path in folder.rglob("*.py") if left_out not in path.parents}
    resources = {
        path.relative_to(folder).as_posix() for path in (folder / "Resources").rglob("*") if path.is_file()
    }
    assert listed("MODULE_PYTHON_SCRIPTS") == scripts
    assert listed("MODULE_PYTHON_RESOURCES") == resources


def test_the_catalogue_fits_its_schema_and_the_bundled_files() -> None:
    catalogue = json.loads((RESOURCES / "Models.json").read_text(encoding="utf-8"))
    jsonschema.validate(catalogue, json.loads((RESOURCES / "Models.schema.json").read_text(encoding="utf-8")))
    models = catalogue["models"]
    assert len({model["id"] for model in models}) == len(models)
    assert sum("download" in model for model in models) == 6
    for model in models:
        if "bundled" in model:
            archive = RESOURCES / model["bundled"]["file"]
            assert sha256(archive) == model["bundled"]["sha256"]
            assert archive.stat().st_size <= 2_000_000


def test_ranges_for_users_and_pins_for_ci_agree() -> None:
    from packaging.requirements import Requirement

    wanted = (RESOURCES / "requirements.txt").read_text().splitlines()
    ranges = [Requirement(line) for line in wanted if line[:1] not in "#"]
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    pinned = [line.partition(";")[0].strip().split("==") for line in lines if "==" in line]
    pins = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pinned}
    for requirement in ranges:
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        assert pins[name].split("+")[0] in requirement.specifier, f"{name} {pins[name]}"
