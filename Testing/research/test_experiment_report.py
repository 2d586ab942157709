"""The report of an experiment: its numbers against sums by hand, its files, and its figures."""

from __future__ import annotations

import csv
import statistics
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st

from lnsegfm.base.errors import UserError
from lnsegfm.formats.image_files import write_image
from lnsegfm.jobs.method_names import METHODS
from lnsegfm.phantom import make_case
from lnsegfm.research import benchmark as experiments
from lnsegfm.research.benchmark.aggregate import METRICS, Estimate, case_means
from lnsegfm.research.benchmark.benchmark_report import write_report
from lnsegfm.research.benchmark.experiment import ORDER, TABLE_1, RunKey
from lnsegfm.research.benchmark.figure_cases import FigureCase, read_slice
from lnsegfm.research.benchmark.paper_values import PAPER
from lnsegfm.research.benchmark.run_results import Run
from lnsegfm.research.benchmark.statistics import holm

Table = dict[str, dict[str, str]]


def scores(*dsc: float, nsd: Sequence[float | None] | None = None) -> dict[str, dict[str, float | None]]:
    """Scores of the cases c0, c1, ...; NSD equals DSC unless it is given."""
    return {f"c{i}": {"dsc": d, "nsd": n} for i, (d, n) in enumerate(zip(dsc, dsc if nsd is None else nsd))}


def run(method: str, *dsc: float, dataset: str = "Neck", shots: int = 3, seed: int = 1, gamma: int = 1) -> Run:
    folder = Path("runs") / f"{dataset}-{method}-{shots}-{seed}-{gamma}"
    return Run(dataset, method, shots, seed, gamma, folder, scores(*dsc))


def report(folder: Path, runs: Sequence[Run], **options: object) -> str:
    write_report(folder, runs, **{"planned": runs, **options})  # type: ignore[arg-type]
    return (folder / "report.md").read_text(encoding="utf-8")


def section(text: str, title: str) -> str:
    return text.split(f"## {title}", 1)[1].split("\n## ", 1)[0]


def parse(markdown: str) -> Table:
    """The tables of a part of the report as cells by row and column name; a row called twice keeps its first."""
    cells: Table = {}
    header: list[str] = []
    for line in markdown.splitlines():
        if not line.startswith("|"):
            header = []
            continue
        row = [cell.strip() for cell in line.strip("|").split(" | ")]
        header = header or row
        assert len(row) == len(header), line
        cells.setdefault(row[0], {}).update(dict(zip(header, row)))
    return cells


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


# Numbers


def test_a_cell_is_mean_and_sample_standard_deviation_in_percent(tmp_path: Path) -> None:
    text = report(tmp_path, [run("full", 0.6, 0.7, 0.8)])
    assert parse(section(text, "Table 1"))["Full"]["3-shot DSC (%)"] == "**70.00 ± 10.00**"


def test_each_case_is_averaged_over_its_seeds_before_the_cases_are(tmp_path: Path) -> None:
    runs = [run("full", 0.6, 0.5), run("full", 0.8, 0.5, seed=2)]
    # Cases 70 and 50: mean 60, standard deviation 20 / sqrt(2). Over all four numbers it would be 14.14 -> 12.58.
    assert "60.00 ± 14.14" in parse(section(report(tmp_path, runs), "Table 1"))["Full"]["3-shot DSC (%)"]


def test_a_single_case_has_no_standard_deviation(tmp_path: Path) -> None:
    assert "70.00 ± -" in parse(section(report(tmp_path, [run("full", 0.7)]), "Table 1"))["Full"]["3-shot DSC (%)"]


@given(st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=4))
def test_estimates_agree_with_numpy_whatever_the_order_of_the_seeds(repeats: list[list[float]]) -> None:
    means = case_means([scores(*values) for values in repeats], "dsc")
    assert means == case_means([scores(*values) for values in reversed(repeats)], "dsc")
    found = Estimate.of(means.values())
    per_case = 100 * np.mean(repeats, axis=0)
    assert found is not None and found.sd is not None and found.cases == 3
    assert found.mean == pytest.approx(per_case.mean(), abs=1e-9)
    assert found.sd == pytest.approx(per_case.std(ddof=1), abs=1e-6)


def test_cases_without_a_known_nsd_count_for_the_dsc_alone(tmp_path: Path) -> None:
    known = replace(run("full"), after=scores(0.6, 0.8, nsd=(0.5, None)))
    unknown = replace(run("bias"), after=scores(0.6, 0.8, nsd=(None, None)))
    cells = parse(section(report(tmp_path, [known, unknown]), "Table 1"))
    assert (cells["Full"]["3-shot NSD (%)"], cells["Bias"]["3-shot NSD (%)"]) == ("**50.00 ± -**", "-")
    assert cells["Bias"]["3-shot DSC (%)"] == "**70.00 ± 14.14**"


# Tables


def test_the_rows_are_the_papers_methods_in_its_order(tmp_path: Path) -> None:
    runs = [run(method, 0.5, 0.6, shots=shots) for method in reversed(ORDER[:-1]) for shots in (3, 10)]
    text = report(tmp_path, runs)
    assert list(parse(section(text, "Table 1"))) == [
        "Method", "---", "From scratch", "Full", "LinearProb", "Bias", "Adapter", "LoRA", "Affine-IN", "DGST",
    ]  # fmt: skip
    scored, _, timed = section(text, "Table 2").partition("### Iteration duration")
    ablation = ["Method", "---", "Full", "Encoder Only", "Decoder Only", "Bias+Norm", "DRST", "SGST", "DGST"]
    assert list(parse(scored)) == ablation
    assert list(parse(timed)) == ablation


def test_every_method_of_the_jobs_has_its_place_in_the_report() -> None:
    assert set(ORDER) == set(METHODS)


def test_the_best_is_bold_and_the_second_best_underlined_in_each_column(tmp_path: Path) -> None:
    runs = [run("scratch", 0.5), run("full", 0.7), run("bias", 0.6)]
    runs += [run("full", 0.6, shots=5), run("bias", 0.8, shots=5)]
    cells = parse(section(report(tmp_path, runs), "Table 1"))
    assert cells["From scratch"]["3-shot DSC (%)"] == "50.00 ± -"
    assert cells["Full"]["3-shot DSC (%)"] == "**70.00 ± -**"
    assert cells["Bias"]["3-shot DSC (%)"] == "<ins>60.00 ± -</ins>"
    assert cells["Full"]["5-shot DSC (%)"] == "<ins>60.00 ± -</ins>"
    assert cells["Bias"]["5-shot DSC (%)"] == "**80.00 ± -**"


def test_means_that_are_printed_alike_are_marked_alike(tmp_path: Path) -> None:
    runs = [run("full", 0.70001), run("bias", 0.70004), run("lora", 0.6), run("affine", 0.5)]
    cells = parse(section(report(tmp_path, runs), "Table 1"))
    column = "3-shot DSC (%)"
    assert cells["Full"][column] == cells["Bias"][column] == "**70.00 ± -**"
    assert (cells["LoRA"][column], cells["Affine-IN"][column]) == ("<ins>60.00 ± -</ins>", "50.00 ± -")


def test_missing_runs_are_dashes_and_are_listed(tmp_path: Path) -> None:
    planned = [RunKey("Neck", method, shots, seed, 1)
               for method in ("full", "dgst") for shots in (3, 5) for seed in (1, 2)]  # fmt: skip
    text = report(tmp_path, [run("full", 0.7), run("full", 0.7, seed=2), run("dgst", 0.8, seed=2)], planned=planned)
    assert text.startswith("# ") and "3 of 8 runs are done" in text
    cells = parse(section(text, "Table 1"))
    assert cells["Full"]["5-shot DSC (%)"] == cells["DGST"]["5-shot NSD (%)"] == "-"
    assert cells["DGST"]["3-shot DSC (%)"].endswith(" †") and not cells["Full"]["3-shot DSC (%)"].endswith("†")
    listed = [line for line in section(text, "Not done yet").splitlines() if line.startswith("*")]
    assert listed == [
        "* Neck: Full, 5-shot, seed 1, 2", "* Neck: DGST, 3-shot, seed 1", "* Neck: DGST, 5-shot, seed 1, 2",
    ]  # fmt: skip


def test_without_a_plan_the_papers_methods_are_the_plan(tmp_path: Path) -> None:
    text = report(tmp_path, [run("full", 0.7), run("full", 0.7, shots=5), run("full", 0.7, shots=10)], planned=None)
    assert set(parse(section(text, "Table 1"))) == {"Method", "---", *(METHODS[method].name for method in TABLE_1)}
    assert "* Neck: LoRA, 5-shot, seed 1\n" in section(text, "Not done yet")
    assert "* Neck: SGST, 5-shot" not in text and "* Neck: SGST, 10-shot, seed 1\n" in text
    assert "* Neck: All-shot, seed 1" in text and "* All-shot: DSC -, NSD -" in text


def test_a_run_that_lacks_a_test_case_is_marked_and_named(tmp_path: Path) -> None:
    text = report(tmp_path, [run("full", 0.7, 0.8), run("bias", 0.9)])
    cells = parse(section(text, "Table 1"))
    assert cells["Bias"]["3-shot DSC (%)"].endswith(" †") and not cells["Full"]["3-shot DSC (%)"].endswith("†")
    assert "* Neck: runs/Neck-bias-3-1-1 has scores of 1 of 2 test cases" in section(text, "Not done yet")


def test_a_complete_experiment_says_that_nothing_is_missing(tmp_path: Path) -> None:
    text = report(tmp_path, [run("full", 0.7)])
    assert "Nothing: every planned run is in this report." in section(text, "Not done yet")


def test_all_shot_and_the_foundation_model_have_lines_of_their_own_without_rank(tmp_path: Path) -> None:
    runs = [replace(run("full", 0.5), before=scores(0.2)), run("allshot", 0.9, shots=96)]
    text = section(report(tmp_path, runs), "Table 1")
    assert "* All-shot (96-shot, from scratch): DSC 90.00 ± -, NSD 90.00 ± -\n" in text
    assert "* Foundation model, not adapted: DSC 20.00 ± -, NSD 20.00 ± -" in text
    assert parse(text)["Full"]["3-shot DSC (%)"] == "**50.00 ± -**" and "All-shot" not in parse(text)


def test_the_tables_show_dgst_with_one_gamma_and_the_sweep_all(tmp_path: Path) -> None:
    runs = [run("full", 0.5), run("dgst", 0.6), run("dgst", 0.7, gamma=2), run("dgst", 0.8, gamma=10)]
    for gamma, mean in ((1, "60.00"), (2, "70.00")):
        text = report(tmp_path, runs, gamma=gamma)
        assert mean in parse(section(text, "Table 1"))["DGST"]["3-shot DSC (%)"]
    assert [(row["method"], row["gamma"], row["dsc_mean"]) for row in read_csv(tmp_path / "gamma.csv")] == [
        ("dgst", "1", "60"), ("dgst", "2", "70"), ("dgst", "10", "80"), ("full", "", "50"),
    ]  # fmt: skip


@pytest.mark.parametrize("method", ["unknown", "full"])
def test_unknown_methods_and_runs_that_would_count_twice_are_refused(tmp_path: Path, method: str) -> None:
    with pytest.raises(UserError, match="The report cannot be written"):
        report(tmp_path, [run("full", 0.7), run(method, 0.8)])


# Tests between methods


def test_holms_correction_by_hand() -> None:
    # Ascending: 0.005 * 4, 0.01 * 3, 0.03 * 2, and 0.04 * 1, which may not be less than the one before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0] and holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_no_correction_and_bonferroni_and_keeps_the_order(p_values: list[float]) -> None:
    corrected = holm(p_values)
    assert all(p <= q <= min(1, len(p_values) * p) for p, q in zip(p_values, corrected))
    by_p = [q for _, q in sorted(zip(p_values, corrected))]
    assert by_p == sorted(by_p)


def test_the_test_is_scipys_wilcoxon_over_the_cases(tmp_path: Path) -> None:
    from scipy.stats import wilcoxon

    rng = np.random.default_rng(5)
    values = {method: rng.random(15) for method in ("full", "bias", "dgst")}
    report(tmp_path, [run(method, *row) for method, row in values.items()])
    rows = {row["method"]: row for row in read_csv(tmp_path / "tests.csv") if row["metric"] == "dsc"}
    expected = {method: wilcoxon(values["dgst"], values[method]) for method in rows}
    assert set(rows) == {"full", "bias"}
    for method, row in rows.items():
        assert float(row["p"]) == pytest.approx(expected[method].pvalue)
        assert float(row["statistic"]) == pytest.approx(expected[method].statistic)
        difference = 100 * (values["dgst"] - values[method]).mean()
        assert float(row["mean_difference_points"]) == pytest.approx(difference)
        assert (row["pairs"], row["holm_comparisons"], row["against"]) == ("15", "2", "dgst")
    smaller, larger = sorted(rows.values(), key=lambda row: float(row["p"]))
    assert float(smaller["p_holm"]) == pytest.approx(min(1, 2 * float(smaller["p"])))
    assert float(larger["p_holm"]) == pytest.approx(max(float(smaller["p_holm"]), float(larger["p"])))


def test_six_pairs_of_one_sign_reach_significance_and_five_cannot(tmp_path: Path) -> None:
    for cases, p, reached in ((6, 2 / 64, True), (5, 2 / 32, False)):
        low, high = [0.1 * i for i in range(cases)], [0.1 * i + 0.01 * (i + 1) for i in range(cases)]
        text = section(report(tmp_path, [run("full", *low), run("dgst", *high)]), "Paired tests")
        assert "Wilcoxon" in text and "Holm" in text
        assert parse(text)["Full"]["3-shot DSC"].startswith("**+") == reached
        row = read_csv(tmp_path / "tests.csv")[0]
        assert float(row["p"]) == pytest.approx(p) and (row["note"] == "") == reached
        assert ("5 unequal pairs cannot reach p < 0.05" in text) != reached


def test_many_comparisons_need_more_pairs_and_the_report_says_so(tmp_path: Path) -> None:
    runs = [run(method, *(0.1 * i for i in range(6))) for method in ("full", "bias")]
    runs.append(run("dgst", *(0.1 * i + 0.01 * (i + 1) for i in range(6))))
    text = section(report(tmp_path, runs), "Paired tests")
    assert "6 unequal pairs and 2 comparisons may not reach a corrected p < 0.05: all comparisons." in text


def test_equal_scores_have_p_1_and_rounding_makes_no_difference(tmp_path: Path) -> None:
    # The means over the two seeds are 0.2 and 0.20000000000000004.
    runs = [run("full", 0.1), run("full", 0.3, seed=2), run("dgst", 0.1 + 0.2), run("dgst", 0.1, seed=2)]
    report(tmp_path, runs)
    row = read_csv(tmp_path / "tests.csv")[0]
    assert (row["p"], row["p_holm"], row["unequal_pairs"], row["statistic"]) == ("1", "1", "0", "")
    assert "no test case differs" in row["note"]


def test_only_cases_and_seeds_that_both_have_are_compared(tmp_path: Path) -> None:
    runs = [run("full", 0.5, 0.6), run("full", 0.1, 0.1, seed=2), run("dgst", 0.6, 0.8, 0.9)]
    runs.append(replace(run("bias"), after={"other": {"dsc": 0.5, "nsd": 0.5}}))
    report(tmp_path, runs)
    rows = {row["method"]: row for row in read_csv(tmp_path / "tests.csv") if row["metric"] == "dsc"}
    assert (rows["full"]["pairs"], rows["full"]["mean_difference_points"]) == ("2", "15")
    assert rows["full"]["runs"] == "runs/Neck-dgst-3-1-1;runs/Neck-full-3-1-1"
    assert (rows["bias"]["pairs"], rows["bias"]["p"], rows["bias"]["p_holm"]) == ("0", "", "")
    assert rows["full"]["holm_comparisons"] == "1"


# Forgetting, parameters, durations


def test_forgetting_is_the_change_over_source_cases_scored_before_and_after(tmp_path: Path) -> None:
    before, after = scores(0.8, 0.6, 0.1), scores(0.7, 0.4)
    text = report(tmp_path, [replace(run("full", 0.7), source_before=before, source_after=after), run("bias", 0.7)])
    cells = parse(section(text, "Forgetting"))
    assert cells["Full"]["3-shot DSC"] == "70.00 → 55.00 (-15.00)" and "Bias" not in cells
    (row,) = read_csv(tmp_path / "forgetting.csv")
    assert (row["dsc_before"], row["dsc_after"], row["dsc_change"], row["dsc_cases"]) == ("70", "55", "-15", "2")


def test_updated_parameters_are_counted_with_their_share(tmp_path: Path) -> None:
    runs = [
        replace(run("dgst", 0.7, seed=seed), parameters=2000, updated=updated) for seed, updated in ((1, 100), (2, 110))
    ]
    runs.append(replace(run("full", 0.7), parameters=2000, updated=2000))
    cells = parse(section(report(tmp_path, runs), "Updated"))
    assert (cells["DGST"]["updated"], cells["DGST"]["share (%)"]) == ("100 to 110", "5.00 to 5.50")
    assert (cells["Full"]["updated"], cells["Full"]["share (%)"]) == ("2,000", "100.00")


def test_durations_are_compared_with_full_on_the_same_device(tmp_path: Path) -> None:
    timed = [("full", 0.2, "GPU"), ("sgst", 0.3, "GPU"), ("full", 4.0, "CPU"), ("sgst", 5.0, "CPU")]
    runs = [
        replace(run(method, 0.7, seed=seed), iteration_s=seconds, device=device)
        for seed, (method, seconds, device) in enumerate(timed)
    ]
    cells = parse(section(report(tmp_path, runs, paper=None), "Table 2"))
    assert [cells["SGST"][f"GPU: {name}"] for name in ("s", "ratio to Full")] == ["0.3000", "1.50"]
    assert [cells["SGST"][f"CPU: {name}"] for name in ("s", "ratio to Full")] == ["5.0000", "1.25"]
    rows = [row for row in read_csv(tmp_path / "table2.csv") if row["method"] == "sgst"]
    assert {row["iteration_device"]: row["iteration_ratio"] for row in rows} == {"GPU": "1.5", "CPU": "1.25"}


# The paper's numbers


@pytest.mark.parametrize(
    "dataset, shots, metric, gains",
    [
        ("SegRap2023", (3, 5, 10), "dsc", (15.98, 8.34, 7.43)), ("SegRap2023", (3, 5, 10), "nsd", (16.06, 9.53, 8.34)),
        ("LNQ2023", (5, 10, 20), "dsc", (11.98, 12.25, 6.71)), ("LNQ2023", (5, 10, 20), "nsd", (14.69, 12.22, 7.85)),
    ],
)  # fmt: skip
def test_the_differences_in_the_papers_text_follow_from_its_transcribed_table(
    dataset: str, shots: tuple[int, ...], metric: str, gains: tuple[float, ...]
) -> None:
    mean = {key: value.mean for key, value in PAPER.scores.items()}
    found = [mean[dataset, "full", number, metric] - mean[dataset, "scratch", number, metric] for number in shots]
    assert found == pytest.approx(gains, abs=0.005)


def test_what_the_papers_text_says_of_the_ranks_follows_from_its_transcribed_table() -> None:
    def ranked(dataset: str, shots: int, metric: str = "dsc") -> list[str]:
        found = {m: PAPER.scores.get((dataset, m, shots, metric)) for m in TABLE_1}
        return sorted((m for m, value in found.items() if value), key=lambda m: -found[m].mean)  # type: ignore[union-attr]

    for shots in (3, 5, 10):
        below_full = ranked("SegRap2023", shots)[ranked("SegRap2023", shots).index("full") + 1 :]
        assert set(below_full) <= {"scratch", "linear"}
    assert ranked("SegRap2023", 3).index("dgst") == 1
    assert ranked("SegRap2023", 5)[0] == ranked("SegRap2023", 10)[0] == "dgst"
    assert ranked("LNQ2023", 5)[:2] == ranked("LNQ2023", 20)[:2] == ["dgst", "full"]
    assert ranked("LNQ2023", 10)[0] == "full", "DGST is not known there"


def test_the_papers_numbers_stand_beside_ours_for_its_datasets_only(tmp_path: Path) -> None:
    runs = [run("full", 0.7, dataset="SegRap2023"), run("full", 0.7), run("sgst", 0.7, dataset="SegRap2023")]
    text = report(tmp_path, runs)
    ours, theirs = section(text, "Table 1").split("### Neck")[::-1]
    assert "in the paper" not in ours and "| *in the paper* | *62.66 ± 8.45* | *55.16 ± 9.86* |" in theirs
    assert "| 0.2085 | 1.00 |" in section(text, "Table 2") and "| 0.2197 | 1.05 |" in section(text, "Table 2")
    full = [row for row in read_csv(tmp_path / "table1.csv") if row["method"] == "full"]
    assert {row["dataset"]: row["paper_dsc_mean"] for row in full} == {"SegRap2023": "62.66", "Neck": ""}
    assert "in the paper" not in report(tmp_path, runs, paper=None)


def test_what_is_not_known_of_the_papers_table_is_said(tmp_path: Path) -> None:
    text = report(tmp_path, [run("dgst", 0.7, dataset="LNQ2023", shots=shots) for shots in (5, 10, 20)])
    assert "| *in the paper* | *50.94 ± 22.41* | *48.76 ± 19.86* | - | - | *63.82 ± 21.69* | *63.84 ± 20.31* |" in text
    assert "The 10-shot scores of DGST" in text


# Files


def test_each_number_of_the_tables_follows_from_the_scores_of_the_runs_it_names(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    runs = [run(method, *rng.random(4), shots=shots, seed=seed)
            for method in ("full", "sgst", "dgst") for shots in (3, 5) for seed in (1, 2)]  # fmt: skip
    report(tmp_path, runs)
    lines = [line for line in read_csv(tmp_path / "scores.csv") if line["domain"] == "target"]
    assert len(lines) == len(runs) * 4
    for name, cells in (("table1.csv", 4), ("table2.csv", 6)):
        rows = [row for row in read_csv(tmp_path / name) if row["method"]]
        assert len(rows) == cells
        for row in rows:
            sources = row["runs"].split(";")
            assert sources == [f"runs/Neck-{row['method']}-{row['shots']}-{seed}-1" for seed in (1, 2)]
            for metric in METRICS:
                by_case: dict[str, list[float]] = {}
                for line in lines:
                    if line["run"] in sources:
                        by_case.setdefault(line["case"], []).append(100 * float(line[f"{metric}_after"]))
                means = [statistics.mean(values) for values in by_case.values()]
                assert float(row[f"{metric}_mean"]) == pytest.approx(statistics.mean(means))
                assert float(row[f"{metric}_sd"]) == pytest.approx(statistics.stdev(means))


def test_scores_hold_both_domains_before_and_after(tmp_path: Path) -> None:
    source = {"source_before": scores(0.8), "source_after": scores(0.75)}
    report(tmp_path, [replace(run("dgst", 0.7, gamma=2), before=scores(0.2), **source)])
    rows = read_csv(tmp_path / "scores.csv")
    assert [(row["domain"], row["case"], row["dsc_before"], row["dsc_after"]) for row in rows] == [
        ("target", "c0", "0.2", "0.7"), ("source", "c0", "0.8", "0.75"),
    ]  # fmt: skip
    assert {(row["gamma"], row["seed"], row["shots"], row["run"]) for row in rows} == {
        ("2", "1", "3", "runs/Neck-dgst-3-1-2")
    }


def test_the_order_in_which_runs_were_finished_changes_no_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    runs = [
        replace(run(method, *rng.random(7), seed=seed), iteration_s=rng.random(), source_before=scores(0.8),
                source_after=scores(rng.random()), parameters=9, updated=3)
        for method in ("full", "lora", "sgst", "dgst") for seed in (1, 2, 3)
    ]  # fmt: skip
    write_report(tmp_path / "one", runs, planned=runs)
    write_report(tmp_path / "two", runs[::-1], planned=runs)
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == sorted(["report.md", *(f"{name}.csv" for name in (
        "table1", "table2", "gamma", "tests", "forgetting", "parameters", "durations", "scores"))])  # fmt: skip
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_an_experiment_that_has_not_begun_has_a_report_too(tmp_path: Path) -> None:
    planned = [RunKey("Neck", "dgst", 3, 1, 1)]
    text = report(tmp_path, [], planned=planned, notes=["Phantoms, not patients."])
    assert "0 of 1 runs are done" in text and "Phantoms, not patients." in text
    assert parse(section(text, "Table 1"))["DGST"]["3-shot DSC (%)"] == "-"
    assert "# Few-shot" in report(tmp_path, [], planned=None)


# Figures


@pytest.fixture(scope="module")
def figure_case(tmp_path_factory: pytest.TempPathFactory) -> FigureCase:
    folder = tmp_path_factory.mktemp("case")
    case = make_case("hospital", 4, size=(64, 48, 24), spacing=(2.5, 3.5, 4.0))
    write_image(case.ct, folder / "ct.nrrd")
    write_image(case.labels, folder / "truth.nrrd")
    write_image(sitk.BinaryDilate(case.labels, (1, 1, 0)), folder / "full.nrrd")
    return FigureCase("Neck", folder / "ct.nrrd", folder / "truth.nrrd", {"full": folder / "full.nrrd"})


def colours(path: Path, wanted: tuple[int, int, int]) -> int:
    pixels = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))[..., :3].astype(int)
    return int(np.count_nonzero(np.abs(pixels - wanted).max(axis=-1) < 12))


def test_fig_2_shows_truth_in_green_and_predictions_in_yellow(tmp_path: Path, figure_case: FigureCase) -> None:
    missing = replace(figure_case, dataset="Chest", predictions={"dgst": figure_case.truth})
    text = report(tmp_path, [run("full", 0.7)], figure_cases=[figure_case, missing])
    assert "](fig2.png)" in section(text, "Fig. 2")
    assert colours(tmp_path / "fig2.png", (0, 208, 90)) > 100
    assert colours(tmp_path / "fig2.png", (255, 224, 0)) > 100


def test_fig_2_takes_the_slice_with_the_largest_area_of_truth(figure_case: FigureCase) -> None:
    truth = sitk.GetArrayFromImage(sitk.ReadImage(str(figure_case.truth))).astype(bool)
    shown = read_slice(figure_case)
    assert shown.truth.sum() == truth.sum(axis=(1, 2)).max()
    assert shown.predictions["full"].sum() > shown.truth.sum() and shown.hu.shape == shown.truth.shape == (48, 64)
    assert shown.spacing_yx == (3.5, 2.5)


@pytest.mark.parametrize("target", ["RAI", "SLP", "PIR"])
def test_fig_2_is_radiological_however_the_voxels_are_stored(
    tmp_path: Path, figure_case: FigureCase, target: str
) -> None:
    stored = {}
    for name, path in (("ct", figure_case.ct), ("truth", figure_case.truth), ("full", figure_case.predictions["full"])):
        stored[name] = tmp_path / f"{name}.nrrd"
        write_image(sitk.DICOMOrient(sitk.ReadImage(str(path)), target), stored[name])
    other = read_slice(FigureCase("Neck", stored["ct"], stored["truth"], {"full": stored["full"]}))
    upright = read_slice(figure_case)
    assert np.array_equal(other.hu, upright.hu) and np.array_equal(other.truth, upright.truth)
    assert np.array_equal(other.predictions["full"], upright.predictions["full"])
    assert other.spacing_yx == pytest.approx(upright.spacing_yx)


def test_the_first_column_is_the_patients_right_and_the_first_row_anterior(tmp_path: Path) -> None:
    ct = sitk.Image(20, 16, 4, sitk.sitkInt16)
    ct[:, 0, :] = -1000
    truth = sitk.Image(ct.GetSize(), sitk.sitkUInt8)
    # In LPS x grows to the left and y to posterior: this voxel is on the patient's right and anterior.
    truth[2, 3, 1] = 1
    for name, image in (("ct", ct), ("truth", truth)):
        write_image(image, tmp_path / f"{name}.nrrd")
    shown = read_slice(FigureCase("Neck", tmp_path / "ct.nrrd", tmp_path / "truth.nrrd", {}))
    assert np.argwhere(shown.truth).tolist() == [[3, 2]]


def test_fig_3_is_drawn_for_sweeps_and_goes_with_them(tmp_path: Path) -> None:
    sweep = [run("full", 0.5, 0.6), *(run("dgst", 0.6, 0.7, gamma=gamma) for gamma in (1, 2, 3, 5, 10))]
    text = report(tmp_path, sweep)
    assert "](fig3.png)" in section(text, "Fig. 3") and "DGST, γ 10" in parse(section(text, "Fig. 3"))
    assert colours(tmp_path / "fig3.png", (0, 114, 178)) > 100 and colours(tmp_path / "fig3.png", (213, 94, 0)) > 100
    text = report(tmp_path, sweep[:2])
    assert "one γ only" in section(text, "Fig. 3") and not (tmp_path / "fig3.png").exists()


def test_a_gap_in_the_sweep_does_not_keep_the_rest_from_being_drawn(tmp_path: Path) -> None:
    planned = [run("dgst", gamma=gamma) for gamma in (1, 2, 3)]
    text = section(report(tmp_path, [run("dgst", 0.6, gamma=3)], planned=planned), "Fig. 3")
    assert parse(text)["DGST, γ 2"]["DSC (%)"] == parse(text)["Full"]["DSC (%)"] == "-"
    assert colours(tmp_path / "fig3.png", (0, 114, 178)) > 20


def test_a_figure_that_cannot_be_drawn_does_not_take_the_tables_with_it(
    tmp_path: Path, figure_case: FigureCase
) -> None:
    empty = tmp_path / "empty.nrrd"
    write_image(sitk.ReadImage(str(figure_case.truth)) * 0, empty)
    text = report(tmp_path, [run("full", 0.7)], figure_cases=[replace(figure_case, truth=empty)])
    assert "This figure was not drawn: Neck: The case has no lymph node to show." in section(text, "Fig. 2")
    assert "**70.00 ± -**" in text and not (tmp_path / "fig2.png").exists()
    text = report(tmp_path, [run("full", 0.7)], figure_cases=[replace(figure_case, ct=tmp_path / "nowhere.nrrd")])
    assert "not drawn: Neck: The CT cannot be read." in section(text, "Fig. 2") and str(tmp_path) not in text


def test_without_matplotlib_there_is_a_report_without_figures(
    tmp_path: Path, figure_case: FigureCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.axes", None)
    monkeypatch.delitem(sys.modules, f"{experiments.__name__}.figures", raising=False)
    monkeypatch.delattr(experiments, "figures", raising=False)
    text = report(tmp_path, [run("full", 0.7)], figure_cases=[figure_case])
    assert "matplotlib is not installed" in section(text, "Fig. 2") and "**70.00 ± -**" in text
