"""The main job by clicks, with real processes: a CT volume in, an adapted model in use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from LNSegFMLib.core.cases import CaseStore
from LNSegFMLib.core.home import Home
from LNSegFMLib.core.models import ModelStore

REPOSITORY = Path(__file__).resolve().parent.parent


def run_alone(part: str, home: Path) -> dict[str, Any]:
    """Run in a process of its own: other tests leave modules open that work for them."""
    folders = [str(REPOSITORY / name) for name in ("LNSegFM", "LNSegFMFineTune", "Testing")]
    environment = {**os.environ, "LNSEGFM_HOME": str(home), "PYTHONPATH": os.pathsep.join(folders)}
    ended = subprocess.run(
        [sys.executable, "-m", "preview.alone", part], env=environment, capture_output=True, text=True, timeout=500
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


def test_clicks_lead_from_a_volume_to_the_adapted_model_in_use(tmp_path: Path) -> None:
    seen = run_alone("walk", tmp_path)
    home = Home(tmp_path)
    cases = CaseStore(home.cases).list()
    assert [case.use for case in cases] == ["train", "holdout"]
    assert all(case.draft_model == "phantom-demonstration" for case in cases)
    adapted = ModelStore(home.models).get(seen["model"])
    assert adapted.card.kind == "adapted"
    assert set(seen["scores"]) == {"phantom-demonstration", adapted.id}
    assert seen["geometry_kept"]
    expected = ["start", "segmented", "lymph-node", "accepted", "cases", "training", "result", "adapted"]
    assert seen["steps"] == expected


def test_the_self_test_of_the_fine_tuning_module_passes(tmp_path: Path) -> None:
    dialogs = run_alone("self-test", tmp_path)["dialogs"]
    assert [kind for kind, _text in dialogs] == ["confirm"], dialogs
