"""The report of an experiment: one Markdown page, its figures, and every number as CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType

from lnsegfm.base.errors import UserError
from lnsegfm.base.files import write_text
from lnsegfm.research.benchmark import evidence_sections, report_data, score_sections
from lnsegfm.research.benchmark.costs import Duration, durations, forgetting, updated_parameters
from lnsegfm.research.benchmark.experiment import ORDER, Experiment, PlannedRun
from lnsegfm.research.benchmark.figure_cases import FigureCase
from lnsegfm.research.benchmark.paper_values import PAPER, PaperValues
from lnsegfm.research.benchmark.run_results import Run
from lnsegfm.research.benchmark.statistics import compare_methods
from lnsegfm.research.benchmark.sweep import GammaSweep, gamma_sweeps
from lnsegfm.research.benchmark.tables import table_1, table_2

_HOW = """## How the numbers are made

* DSC and NSD at 1 mm by test case, with the final checkpoint. With several seeds a case's score is first averaged over
  its seeds; then mean ± standard deviation (sample, n - 1) over the test cases.
* Methods, their order and the rows of the tables are those of the paper (Luo et al., MICCAI 2025).{paper}
* Durations are medians over runs of each run's median iteration. They depend on the device and on what else ran on it.
* scores.csv holds the scores of each case in each run. In the other CSV files the column `runs` names the run folders
  that a number comes from, relative to this page: [table1.csv](table1.csv), [table2.csv](table2.csv),
  [gamma.csv](gamma.csv), [tests.csv](tests.csv), [forgetting.csv](forgetting.csv), [parameters.csv](parameters.csv),
  [durations.csv](durations.csv), [scores.csv](scores.csv).

Research software, not a medical device."""


def write_report(
    folder: Path,
    runs: Iterable[Run],
    *,
    planned: Iterable[PlannedRun] | None = None,
    gamma: int = 1,
    paper: PaperValues | None = PAPER,
    notes: Sequence[str] = (),
    figure_cases: Sequence[FigureCase] = (),
) -> None:
    """Write report.md, its CSV files, fig2.png and fig3.png; what is there of an earlier report is replaced.

    Args:
        folder: Where to write; the folders of the runs are named relative to it.
        runs: The finished runs; there may be none.
        planned: All runs there shall be; see `lnsegfm.research.benchmark.experiment.Experiment.of`.
        gamma: γ of the DGST, DRST and SGST in the tables and tests.
        paper: Published numbers to show beside those of datasets of the same name; None for none.
        notes: Sentences for the top of the page: what this experiment can and cannot show.
        figure_cases: The rows of Fig. 2.

    Raises:
        UserError: Two runs are the same, or a method is not known. Figures that cannot be drawn are no error: the page
            says why.
    """
    experiment = Experiment.of(runs, planned, gamma=gamma)
    comparison, ablation = table_1(experiment), table_2(experiment)
    times = durations(experiment)
    usual = [time for time in times if time.gamma in (0, gamma)]
    sweeps, tests = gamma_sweeps(experiment), compare_methods(experiment)
    lost, updated = forgetting(experiment), updated_parameters(experiment)

    for name, columns, rows in (
        ("table1", report_data.TABLE_COLUMNS, report_data.table_rows(experiment, comparison, paper)),
        ("table2", report_data.ABLATION_COLUMNS, report_data.ablation_rows(ablation, usual, paper)),
        ("gamma", report_data.GAMMA_COLUMNS, report_data.gamma_rows(sweeps)),
        ("tests", report_data.TEST_COLUMNS, report_data.test_rows(tests)),
        ("forgetting", report_data.FORGETTING_COLUMNS, report_data.forgetting_rows(lost)),
        ("parameters", report_data.PARAMETER_COLUMNS, report_data.parameter_rows(updated)),
        ("durations", report_data.DURATION_COLUMNS, report_data.duration_rows(times, paper)),
        ("scores", report_data.SCORE_COLUMNS, report_data.score_rows(experiment)),
    ):
        report_data.write_csv(folder / f"{name}.csv", columns, rows)

    sections = [
        _head(experiment, notes),
        score_sections.comparison(experiment, comparison, paper),
        _contours(folder, figure_cases),
        score_sections.ablation(ablation, usual, paper),
        _sensitivity(folder, sweeps),
        evidence_sections.tests(tests),
        evidence_sections.forgetting_table(lost, gamma),
        evidence_sections.parameter_table(updated, gamma),
        _all_durations(usual, paper),
        evidence_sections.not_done(experiment),
        _HOW.format(paper=_paper_note(experiment, paper)),
    ]
    write_text(folder / "report.md", "\n\n".join(sections) + "\n")


def _head(experiment: Experiment, notes: Sequence[str]) -> str:
    missing = len(experiment.missing())
    devices = sorted({run.device for run in experiment.runs if run.device})
    count = f"{len(experiment.planned) - missing} of {len(experiment.planned)} runs are done"
    tests = "; ".join(f"{dataset}: {len(experiment.test_cases(dataset))} test cases" for dataset in experiment.datasets)
    facts = ". ".join(text for text in (count, tests, f"Ran on {', '.join(devices)}" if devices else "") if text)
    return "\n\n".join(["# Few-shot adaptation: the experiment of the paper", f"{facts}.", *notes])


def _sensitivity(folder: Path, sweeps: Sequence[GammaSweep]) -> str:
    parts = ["## Fig. 3: sensitivity to γ"]

    path = folder / "fig3.png"
    if not sweeps:
        path.unlink(missing_ok=True)
        return "\n\n".join([*parts, "DGST is planned with one γ only."])
    caption = "Mean DSC and NSD of DGST over γ; dotted: Full"
    parts.append(_figure(path, caption, lambda figures: figures.draw_gamma(sweeps, path)))
    return "\n\n".join([*parts, evidence_sections.gamma_table(sweeps)])


def _contours(folder: Path, cases: Sequence[FigureCase]) -> str:
    parts = ["## Fig. 2: contours"]

    path = folder / "fig2.png"
    if not any(case.predictions for case in cases):
        path.unlink(missing_ok=True)
        return "\n\n".join([*parts, "No case was chosen for it."])
    caption = "Truth green, prediction yellow, on the axial slice with the largest area of truth"
    parts.append(_figure(path, caption, lambda figures: figures.draw_contours(cases, path)))
    return "\n\n".join([*parts, f"{caption}; level 40 HU, window 400 HU; R is the patient's right."])


def _figure(path: Path, caption: str, draw: Callable[[ModuleType], None]) -> str:
    """Draw a figure and return the Markdown that shows it, or says why it is not there."""
    try:
        # Imported here: matplotlib is optional, and long computing must not end without its tables for want of it.
        from lnsegfm.research.benchmark import figures

        draw(figures)
    except ImportError:
        why = "matplotlib is not installed. Type pip install matplotlib, and make the report again."
    except UserError as error:
        # Not its reason: that may name a path, and the page is passed on to others.
        why = f"{error.what} {error.todo}"
    else:
        return f"![{caption}]({path.name})"
    path.unlink(missing_ok=True)
    return f"This figure was not drawn: {why}"


def _all_durations(times: Sequence[Duration], paper: PaperValues | None) -> str:
    measured = {time.method for time in times}
    title = "## Iteration duration of all methods"
    if not measured:
        return f"{title}\n\nNo run has measured it."
    methods = [method for method in ORDER if method in measured]
    return f"{title}\n\n{score_sections.duration_table(methods, times, paper)}"


def _paper_note(experiment: Experiment, paper: PaperValues | None) -> str:
    if paper is None or not any(key[0] in experiment.datasets for key in paper.scores):
        return ""
    return " Its own numbers are shown in italics; cases, splits and hardware are not the same as here."
