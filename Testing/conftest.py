"""What several tests share: a home with the demonstration model, and where the real CT lies."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from lnsegfm.base.home import Home
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.models.model_store import ModelStore
from lnsegfm.models.published.catalogue import install_bundled
from lnsegfm_panel import app, panel_home, widget  # noqa: F401 - fixtures of the tests of the panel

# pytest has put this folder there for this file. The wheel's package slicer would take the folder slicer in it for a
# part of itself, and import the tests as its modules.
sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != Path(__file__).resolve().parent]

LIBRARIES = ("lnsegfm", "LNSegFMLib", "LNSegFMFineTuneLib")
REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def same_library_afterwards() -> Iterator[None]:
    """A module's reload brings new classes; the other tests go on with the ones they have imported."""
    before = _library()
    yield
    after = _library()
    if any(after.get(name) is not module for name, module in before.items()):
        for name in after:
            del sys.modules[name]
        sys.modules.update(before)
        _unload_modules()


def _unload_modules() -> None:
    """Let the stand-in load the modules of Slicer again, which have the reloaded library."""
    import standin

    slicer_app = standin.start()
    for name in ("LNSegFMFineTune", "LNSegFM"):
        if slicer_app.application.moduleManager().module(name) is not None:
            slicer_app.unload_module(name)


def _library() -> dict[str, ModuleType]:
    return {name: module for name, module in sys.modules.items() if name.partition(".")[0] in LIBRARIES}


@pytest.fixture(scope="session")
def demonstration_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home in which only the bundled model is installed; tests must not write to it."""
    home = Home(tmp_path_factory.mktemp("home"))
    install_bundled(ModelStore(home.models))
    return home


@pytest.fixture(scope="session")
def demonstration_model(demonstration_home: Home) -> ModelInfo:
    return ModelStore(demonstration_home.models).list()[0]


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A home of the test's own with the bundled model, which child processes find too."""
    home = Home(tmp_path / "home")
    install_bundled(ModelStore(home.models))
    monkeypatch.setenv("LNSEGFM_HOME", str(home.root))
    yield home


@pytest.fixture(scope="session")
def real_ct() -> Path:
    folder = REPOSITORY.parent / "shared" / "data" / "ct_dicom"
    if not folder.is_dir():
        pytest.skip("the real CT series lies beside the repository only where it was put there")
    return folder
