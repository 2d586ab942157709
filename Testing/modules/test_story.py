"""The day of a radiation oncologist by clicks, with real processes: what the user sees at each step."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from lnsegfm.base.home import Home
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.models.model_store import ModelStore
from preview.screenshots import SHOWN

REPOSITORY = Path(__file__).resolve().parents[2]
BASE = "phantom-demonstration"
SCANS = ["Scan 1", "Scan 2", "Scan 3"]


def run_alone(part: str, folder: Path) -> dict[str, Any]:
    """Run in a process of its own: other tests leave modules open that work for them."""
    folders = [str(REPOSITORY / name) for name in ("LNSegFM", "LNSegFMFineTune", "Testing/support", "Testing/tools")]
    environment = {**os.environ, "LNSEGFM_HOME": str(folder / "home"), "PYTHONPATH": os.pathsep.join(folders)}
    command = [sys.executable, "-m", "preview.alone", part, str(folder / "out")]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


@dataclass(frozen=True)
class Day:
    """What is left of a walk through the day: on the screen, and on the disk."""

    outcome: dict[str, Any]
    folder: Path

    def __getitem__(self, step: str) -> dict[str, Any]:
        return self.outcome["seen"][step]

    @property
    def home(self) -> Home:
        return Home(self.folder / "home")

    @property
    def files(self) -> Path:
        return self.folder / "out" / "files"

    @property
    def adapted(self) -> ModelInfo:
        return ModelStore(self.home.models).get(self.outcome["model"])


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    folder = tmp_path_factory.mktemp("day")
    return Day(run_alone("walk", folder), folder)


def test_no_dialog_disturbs_the_day_but_those_that_ask_for_a_file(day: Day) -> None:
    assert [kind for kind, _text in day.outcome["dialogs"]] == ["file"] * 3


def test_first_start_says_what_is_missing_and_what_the_computer_can_do(day: Day) -> None:
    assert day["first-start"]["status"] == "Missing: a model for patients."
    assert day["first-start"]["button"] == "Get a model"
    assert "PyTorch 2." in day["first-start"]["check"] and " work on " in day["first-start"]["check"]


def test_manager_shows_installed_and_published_models_with_their_figures(day: Day) -> None:
    tree = day["models"]["tree"]
    assert tree[:3] == ["Installed", "  Phantom (demonstration)", "Published"] and "  LN-Seg-FM ResEnc L" in tree
    assert "DSC 0.8355" in day["models"]["detail"] and "GB of GPU memory" in day["models"]["detail"]


def test_results_of_the_queue_appear_one_by_one(day: Day) -> None:
    started, *others = day["queue"]["started"]
    assert started != ["waiting"] and others == [["waiting"], ["waiting"]]
    assert day["queue"]["rows"] > 0
    assert [name for name, _state in day["segmented"]["states"]] == SCANS
    assert all("lymph node" in state for _name, state in day["segmented"]["states"])
    assert day["segmented"]["summary"] == "3 of 3 volumes done"
    assert day.outcome["geometry_kept"]


def test_worklist_is_ranked_by_doubt_and_opens_its_first_scan(day: Day) -> None:
    rows = day["worklist"]["rows"]
    doubts = [float(row[3].rstrip(" %")) for row in rows]
    assert doubts == sorted(doubts, reverse=True) and doubts[0] > 0
    assert day["worklist"]["open"] == rows[0][1]
    assert "estimated Dice error" in day["worklist"]["why"]


def test_keys_go_through_the_nodes_and_undo_brings_a_deleted_one_back(day: Day) -> None:
    rows = len(day["review"]["table"])
    assert rows > 2
    assert day["review"]["after_n"] == 1 and day["undone"]["after_p"] == 0
    assert "Reviewed: 1." in day["review"]["summary"]
    assert (day["deleted"]["before"], day["deleted"]["after"]) == (rows, rows - 1)
    assert day["undone"]["rows"] == rows and "Reviewed: 1." in day["undone"]["summary"]


def test_filter_lists_large_nodes_only_while_the_summary_counts_all(day: Day) -> None:
    least, axes = day["filtered"]["least"], [float(row[0].split(" × ")[0]) for row in day["filtered"]["axes"]]
    assert 0 < len(axes) < len(day["review"]["table"])
    assert min(axes) >= least
    assert day["filtered"]["summary"] == day["undone"]["summary"]


def test_probability_lies_over_the_scan(day: Day) -> None:
    assert day["probability"]["overlay"] == f"{day['worklist']['open']} probability"


def test_accepted_scan_goes_to_the_end_of_the_worklist_and_the_next_one_opens(day: Day) -> None:
    first, second, third = (row[1] for row in day["worklist"]["rows"])
    after = day["next-opened"]
    assert "Voxels outside the ROI are ignored in training." in after["case"]
    assert after["open"] == second
    assert after["worklist"] == [
        [second, "to correct"], [third, "to correct"], [first, "\N{CHECK MARK} case-0001"],
    ]


def test_stored_cases_are_one_in_part_and_two_whole(day: Day) -> None:
    cases = CaseStore(day.home.cases).list()
    assert [case.latest.partial for case in cases] == [True, False, False]
    assert [case.use for case in cases] == ["train", "train", "holdout"]
    assert all(case.draft_model == BASE for case in cases)
    stored = sitk.GetArrayFromImage(sitk.ReadImage(str(cases[0].label_path())))
    # The patient's left half, the higher indices of an upright scan, was not checked.
    middle = stored.shape[2] // 2
    assert (stored[:, :, middle + 1 :] == 2).all() and set(np.unique(stored[:, :, : middle - 1])) == {0, 1}


def test_exports_hold_the_same_nodes_as_the_table(day: Day) -> None:
    assert day["export"]["files"] == ["lymph-nodes.csv", "lymph-nodes.nii.gz"]
    assert day["export"]["said"] == "lymph-nodes.csv was saved."
    labels = sitk.ReadImage(str(day.files / "lymph-nodes.nii.gz"))
    with open(day.files / "lymph-nodes.csv", encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    held_out = CaseStore(day.home.cases).list()[-1]
    truth = sitk.ReadImage(str(held_out.label_path()))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(labels) > 0, sitk.GetArrayFromImage(truth) == 1)
    assert {int(row["number"]) for row in rows} == set(np.unique(sitk.GetArrayFromImage(labels))) - {0}


def test_cases_have_a_use_and_the_advice_follows_it(day: Day) -> None:
    seen = day["cases"]
    assert seen["uses"] == ["training", "training", "hold-out"]
    assert [row[0].partition("\n")[0] for row in seen["table"]] == ["case-0001", "case-0002", "case-0003"]
    assert "Without a hold-out case" in seen["advice_before"]
    assert seen["advice"].startswith("2 training, 1 hold-out.") and "Only part of case-0001" in seen["advice"]


def test_plan_tells_the_time_and_memory_of_this_computer(day: Day) -> None:
    assert "not known yet" in day["plan"]["before"]
    assert "20 iterations" in day["plan"]["estimate"] and re.search("[GM]B of memory", day["plan"]["estimate"])
    assert all("about" in text for text in day["plan"]["presets"])


def test_paused_job_goes_on_where_it_was(day: Day) -> None:
    paused, training = day["paused"], day["training"]
    assert paused["state"].startswith("Paused") and 3 <= paused["done"] < 20
    assert f"Iteration {paused['done']} / 20" in paused["figures"]
    assert [row[-1] for row in paused["jobs"]] == ["paused"]
    assert "Iteration" in training["figures"]


def test_evidence_compares_before_and_after_and_dares_no_verdict_on_one_case(day: Day) -> None:
    seen = day["evidence"]
    assert [row[0] for row in seen["table"]] == ["case-0003", "Mean"]
    assert seen["verdict"].startswith("Too few hold-out cases for a conclusion")
    assert seen["legend"].startswith("case-0003") and seen["decision"] == "No decision yet."
    report = (day.files / "report.html").read_text(encoding="utf-8")
    assert "data:image/png;base64," in report and str(Path.home()) not in report


def test_accepted_model_segments_and_can_be_taken_back(day: Day) -> None:
    adapted, store = day.adapted, ModelStore(day.home.models)
    assert day["accepted"]["decision"].startswith("Accepted")
    assert (adapted.card.kind, adapted.card.parent) == ("adapted", BASE)
    assert day["adapted"]["chosen"] == adapted.name and f": {adapted.name} took" in day["adapted"]["status"]
    assert set(day.outcome["scores"]) == {BASE, adapted.id}
    assert day["rolled-back"]["tree"][1:3] == ["  Phantom (demonstration) (default)", f"    {adapted.name}"]
    assert day["rolled-back"]["chosen"] == "Phantom (demonstration)" and store.default_id == BASE


def test_every_step_has_a_picture_of_panel_and_views(day: Day) -> None:
    pictures = day.outcome["pictures"]
    assert sorted(pictures.values()) == sorted(path.name for path in (day.folder / "out").glob("*.png"))
    for step, name in pictures.items():
        with Image.open(day.folder / "out" / name) as image:
            pixels = np.asarray(image.convert("L"), np.float32)
        panel, views = pixels[:, :424], pixels[:, 424:]
        assert panel.std() > 10, f"the panel is blank in {name}"
        if step not in ("first-start", "models"):  # nothing is loaded yet
            assert (views > 60).mean() > 0.1 and views.std() > 30, f"the views are blank in {name}"


def test_tutorial_and_readme_show_the_pictures_that_are_made_for_them() -> None:
    shown = set()
    for page in (REPOSITORY / "docs" / "tutorial.md", REPOSITORY / "README.md"):
        links = re.findall(r"!\[[^]]+\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
        shown |= {(page.parent / link).resolve() for link in links}
    pictures = REPOSITORY / "Resources" / "Screenshots"
    assert shown == set(pictures.glob("*.png")) == {pictures / f"{name}.png" for name in SHOWN.values()}
    assert all(path.stat().st_size < 150_000 for path in shown)


def test_the_self_test_of_the_fine_tuning_module_passes(tmp_path: Path) -> None:
    assert run_alone("self-test", tmp_path)["dialogs"] == []
