"""The main job by clicks, with real processes: a CT volume in, an adapted model in use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from LNSegFMLib.core.cases import CaseStore
from LNSegFMLib.core.home import Home
from LNSegFMLib.core.models import ModelStore


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setenv("LNSEGFM_HOME", str(tmp_path / "home"))
    yield Home(tmp_path / "home")
    import standin

    app = standin.start()
    for module in ("LNSegFMFineTune", "LNSegFM"):
        app.unload_module(module)
    app.close_scene()


def test_clicks_lead_from_a_volume_to_the_adapted_model_in_use(home: Home) -> None:
    import standin
    from preview.walk import Settings, Walk

    steps: list[str] = []
    settings = Settings(size=(64, 64, 24), training_seeds=(311,), epochs=2, iterations=4, mirroring=False)
    outcome = Walk(standin.start(), settings, steps.append).run()
    cases = CaseStore(home.cases).list()
    assert [case.use for case in cases] == ["train", "holdout"]
    assert all(case.draft_model == "phantom-demonstration" for case in cases)
    adapted = ModelStore(home.models).get(outcome.model)
    assert adapted.card.kind == "adapted"
    assert set(outcome.scores) == {"phantom-demonstration", adapted.id}
    assert outcome.geometry_kept
    assert steps == ["start", "segmented", "lymph-node", "accepted", "cases", "training", "result", "adapted"]


def test_the_self_test_of_the_fine_tuning_module_passes(home: Home) -> None:
    import standin
    from preview.walk import REPOSITORY

    app = standin.start()
    for module in ("LNSegFM", "LNSegFMFineTune"):
        app.load_module(REPOSITORY / module / f"{module}.py")
    app.run_self_test("LNSegFMFineTune")
    assert not app.dialogs
