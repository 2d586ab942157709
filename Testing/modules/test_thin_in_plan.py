"""The plan tells of lymph nodes that are thinner than the base model's voxels."""

# ruff: noqa: F811 - the fixtures are imported
from __future__ import annotations

import json

import pytest

pytest.importorskip("PySide6")
pytest.importorskip("vtk")

from finetune_panel import Panel, case_template, cases, home, opened, panel  # noqa: F401
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.models.model_store import ModelStore
from small_scans import boxes_on, small_scan
from tiny_plans import tiny_dataset, tiny_plans


@pytest.fixture
def model_with_plans(panel: Panel) -> None:
    """The plans of the model that the panel begins with: voxels of 3 x 2 x 2 mm."""
    folder = ModelStore(panel.home.models).get("fine").path
    (folder / "plans.json").write_text(json.dumps(tiny_plans()))
    (folder / "dataset.json").write_text(json.dumps(tiny_dataset()))


@pytest.mark.usefixtures("model_with_plans")
def test_it_names_case_and_lymph_node_while_the_case_is_used(opened: Panel, cases: CaseStore) -> None:
    assert opened.widget.ui.modelComboBox.currentData == "fine"
    image = small_scan((48, 48, 48), (0.5, 0.5, 0.5))
    thin = cases.accept(image, boxes_on(image, [(slice(20, 21), slice(21, 22), slice(22, 23))])).id
    said = f"{thin}: lymph node 1 (0.5 x 0.5 x 0.5 mm) is thinner than the model's voxels of 2 x 2 x 3 mm"
    opened.widget.refresh()
    opened.until(lambda: said in opened.ui.estimateLabel.text, "the note")
    cases.set_use(thin, "excluded")
    opened.widget.refresh()
    opened.until(lambda: said not in opened.ui.estimateLabel.text, "the note to go")
