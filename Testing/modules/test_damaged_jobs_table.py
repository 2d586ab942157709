"""Damaged jobs in the panel: they are listed with the reason, hide no other job, and can be removed."""

from __future__ import annotations

import json

import pytest

from finetune_panel import Panel, adapted, app, case_template, cases, home, opened, panel  # noqa: F401 - fixtures
from lnsegfm.jobs.job_spec import CaseRef, JobSpec
from lnsegfm.jobs.job_store import JobStore

SPEC = JobSpec(base_model="base", base_sha256="ab", cases=(CaseRef("case-0001", 1),))


def listed(panel: Panel) -> dict[str, str]:  # noqa: F811
    table = panel.ui.jobsTable
    return {table.item(row, 0).text(): table.item(row, 2).text() for row in range(table.rowCount)}


def remove(panel: Panel) -> None:  # noqa: F811
    panel.app.answers.append(True)
    panel.click("removeJobButton")


def test_a_job_that_cannot_be_read_is_shown_with_the_reason_and_goes(opened: Panel) -> None:  # noqa: F811
    store = JobStore(opened.home.jobs)
    fine, damaged = store.create(SPEC), store.create(SPEC)
    (damaged.path / "job.json").write_bytes(b"\0\0\0")
    opened.widget.refresh()
    opened.until(lambda: listed(opened) == {damaged.id: "damaged", fine.id: "not started"}, "both jobs")
    opened.app.select_row(opened.ui.jobsTable, 0)
    opened.until(lambda: "job.json" in opened.ui.stateLabel.text, "the reason")
    assert not opened.ui.resumeButton.enabled and not opened.ui.pauseButton.enabled
    opened.app.select_row(opened.ui.jobsTable, 1)
    opened.until(lambda: "Not started yet" in opened.ui.stateLabel.text, "the other job")
    opened.app.select_row(opened.ui.jobsTable, 0)
    opened.until(lambda: "job.json" in opened.ui.stateLabel.text, "the reason again")
    remove(opened)
    opened.until(lambda: listed(opened) == {fine.id: "not started"}, "the removal")
    assert not damaged.path.exists()


@pytest.mark.parametrize("status", [{"state": "done", "metrics": {"cases": 3}}, {"state": "running", "iteration": "x"}])
def test_a_job_with_a_damaged_status_can_be_resumed_or_removed(
    opened: Panel, status: dict[str, object]  # noqa: F811
) -> None:
    job = JobStore(opened.home.jobs).create(SPEC)
    (job.path / "status.json").write_text(json.dumps(status))
    opened.widget.refresh()
    opened.until(lambda: listed(opened) == {job.id: "damaged"} and opened.ui.removeJobButton.enabled, "the job")
    opened.until(lambda: "status.json" in opened.ui.stateLabel.text, "the reason")
    assert opened.ui.resumeButton.enabled and not opened.ui.reportButton.enabled
    remove(opened)
    opened.until(lambda: listed(opened) == {}, "the removal")


def test_iterations_without_a_loss_are_left_out_of_the_curve(opened: Panel) -> None:  # noqa: F811
    job = JobStore(opened.home.jobs).create(SPEC)
    rows = [{"iteration": number, "loss": None if number == 2 else 1 / number} for number in (1, 2, 3, 4)]
    (job.path / "progress.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (job.path / "status.json").write_text(json.dumps({"state": "paused", "iteration": 4, "iterations": 9}))
    opened.widget.refresh()
    opened.until(lambda: opened.ui.curveButton.enabled, "the job's progress")
    opened.click("curveButton")
    opened.until(lambda: opened.points() == 3, "the curve")
