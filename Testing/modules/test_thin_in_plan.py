"""The plan tells of lymph nodes that are thinner than the base model's voxels."""

# ruff: noqa: F811 - the fixtures are imported
from __future__ import annotations

import pytest

pytest.importorskip("PySide6")
pytest.importorskip("vtk")

from finetune_panel import Panel, case_template, cases, home, opened, panel  # noqa: F401
from lnsegfm.cases.case_store import CaseStore
from small_scans import boxes_on, small_scan


def test_it_names_case_and_lymph_node_while_the_case_is_used(opened: Panel, cases: CaseStore) -> None:
    image = small_scan((48, 48, 48), (0.5, 0.5, 0.5))
    thin = cases.accept(image, boxes_on(image, [(slice(20, 21), slice(21, 22), slice(22, 23))])).id
    said = f"{thin}: lymph node 1 (0.5 x 0.5 x 0.5 mm) is thinner than the model's voxels of"
    opened.widget.refresh()
    opened.until(lambda: said in opened.ui.estimateLabel.text, "the note")
    cases.set_use(thin, "excluded")
    opened.widget.refresh()
    opened.until(lambda: said not in opened.ui.estimateLabel.text, "the note to go")
