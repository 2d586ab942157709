"""The paper's experiment by one command: what is planned, interruption, the report."""

from __future__ import annotations

import csv
import itertools
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from lnsegfm.base.errors import UserError
from lnsegfm.base.home import Home
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.cli import main
from lnsegfm.engine.finetuning import runner
from lnsegfm.jobs.job_spec import CaseRef, JobSpec
from lnsegfm.jobs.job_store import Job, JobStore
from lnsegfm.jobs.job_writer import JobWriter
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.models.model_store import ModelStore
from lnsegfm.phantom import make_case
from lnsegfm.research.benchmark.benchmark_cases import Split, split
from lnsegfm.research.benchmark.benchmark_config import Config, read_config
from lnsegfm.research.benchmark.execution import run_jobs
from lnsegfm.research.benchmark.experiment import RunKey
from lnsegfm.research.benchmark.foundation import find_foundation
from lnsegfm.research.benchmark.planned_runs import Planned, plan_runs
from service_home import add_model

REPOSITORY = Path(__file__).resolve().parents[2]
SMALL = """
name = "Small"
model = "phantom-demonstration"
devices = ["cpu"]
methods = ["dgst"]
ablation = ["drst"]
gammas = [1, 2]

[settings]
epochs = 2
iterations_per_epoch = 2
step_rule = "plain"
learning_rate = 0.1

[source]
phantom = "source"
first_seed = 70
cases = 1
size = [48, 48, 16]
spacing = [3.0, 3.0, 4.0]

[[datasets]]
name = "Hospital"
phantom = "hospital"
first_seed = 50
cases = 4
size = [48, 48, 16]
spacing = [3.0, 3.0, 4.0]
shots = [2]
gamma_shots = 2
all_shot = false
"""


def config_file(folder: Path, text: str = SMALL) -> Path:
    path = folder / "experiment.toml"
    path.write_text(text, encoding="utf-8")
    return path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs run in this process, which has PyTorch loaded already."""

    def start(job: Job) -> None:
        with pytest.MonkeyPatch.context() as patch:
            for name in ("nnUNet_preprocessed", "nnUNet_results", "nnUNet_n_proc_DA"):
                patch.setenv(name, "")
            patch.setenv("LNSEGFM_HOME", str(job.path.parents[1]))
            runner.main([str(job.path)])

    monkeypatch.setattr(Job, "start", start)


@pytest.mark.usefixtures("here")
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_an_experiment_that_was_killed_twice_gives_the_tables_of_one_that_was_not(
    own_home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = config_file(tmp_path)
    assert main(["benchmark", str(config), "--out", str(tmp_path / "whole")]) == 0
    command = [sys.executable, "-m", "lnsegfm.cli", "benchmark", str(config), "--out", str(tmp_path / "cut")]
    paths = os.pathsep.join(str(REPOSITORY / name) for name in ("LNSegFM", "LNSegFMFineTune"))
    for goal in (1, 2):
        process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths}, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)  # fmt: skip
        jobs = JobStore(tmp_path / "cut" / "home" / "jobs")
        deadline = time.monotonic() + 120
        while not _training(jobs, goal):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
        process.kill()
        process.wait()
        for job in jobs.list():
            if job.status().active:
                os.killpg(job.status().pid, signal.SIGKILL)
    assert main(["benchmark", str(config), "--out", str(tmp_path / "cut")]) == 0
    for name in ("table1", "gamma", "tests", "forgetting", "parameters", "scores"):
        assert rows(tmp_path / "cut" / f"{name}.csv") == rows(tmp_path / "whole" / f"{name}.csv"), name
    scores = rows(tmp_path / "whole" / "scores.csv")
    assert {(row["method"], row["gamma"]) for row in scores if row["gamma"]} >= {("dgst", "1"), ("dgst", "2")}
    report = (tmp_path / "whole" / "report.md").read_text(encoding="utf-8")
    assert "3 of 3 runs are done" in report
    assert (tmp_path / "whole" / "fig2.png").is_file() and (tmp_path / "whole" / "fig3.png").is_file()
    for folder in {row.get("run") or row.get("runs") or row.get("folder") for row in scores}:
        assert folder and (tmp_path / "whole" / folder / "job.json").is_file()


def _training(jobs: JobStore, goal: int) -> bool:
    done = sum(job.status().state == "done" for job in jobs.list())
    return done >= goal - 1 and any(job.status().active and job.status().iteration >= 1 for job in jobs.list())


@pytest.mark.usefixtures("here")
def test_a_run_that_fails_is_tried_again_named_and_does_not_stop_the_others(
    own_home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = SMALL.replace('methods = ["dgst"]', 'methods = ["drst", "dgst"]').replace("gamma_shots = 2\n", "")
    config = config_file(tmp_path, text + "\n[settings.drst]\nlearning_rate = 1e6\nclip_norm = 1e15\n")
    assert main(["benchmark", str(config), "--out", str(tmp_path / "out")]) == 1
    printed = capsys.readouterr()
    assert "Failed: Hospital drst 2-shot gamma 1 seed 0: The model gave no usable result" in printed.out
    report = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "Not done yet" in report and "1 of 2 runs are done" in report


RUNNER = """
import os, sys, time
from pathlib import Path
from lnsegfm.jobs.job_writer import JobWriter
with JobWriter(Path(sys.argv[1])) as writer:
    began = time.time()
    time.sleep(0.4)
    threads = os.environ.get("OMP_NUM_THREADS", "")
    Path(sys.argv[1], "ran").write_text(f"{os.environ['LNSEGFM_JOB_DEVICE']} {threads} {began} {time.time()}")
    writer.done("model")
"""


def test_each_device_does_one_run_at_a_time_and_none_stands_idle(tmp_path: Path) -> None:
    script = tmp_path / "runner.py"
    script.write_text(RUNNER, encoding="utf-8")
    store = JobStore(tmp_path / "jobs")
    jobs = [store.create(JobSpec("base", "", (CaseRef("case-0001", 1),), name=f"run {n}")) for n in range(5)]
    ended = run_jobs(
        jobs, ["cuda:0", "cuda:1"], lambda progress: None,
        start=lambda job: Job.start(job, [sys.executable, str(script), str(job.path)]),
    )
    assert (ended.done, ended.failed) == (5, {})
    ran = [(job.path / "ran").read_text().split() for job in jobs]
    for device in ("cuda:0", "cuda:1"):
        spans = sorted((float(row[-2]), float(row[-1])) for row in ran if row[0] == device)
        assert len(spans) >= 2
        assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))


def test_two_runs_at_once_on_the_cpu_share_its_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lnsegfm.research.benchmark.execution.cpu_count", lambda: 8)
    job = JobStore(tmp_path / "jobs").create(JobSpec("base", "", (CaseRef("case-0001", 1),)))
    seen: list[dict[str, str]] = []

    def start(job: Job) -> None:
        seen.append(dict(job.environment))
        with JobWriter(job.path) as writer:
            writer.done("model")

    run_jobs([job], ["cpu", "cpu"], lambda progress: None, start=start)
    assert seen == [{"OMP_NUM_THREADS": "4", "LNSEGFM_JOB_DEVICE": "cpu"}]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "Small"', 'title = "Small"', "'title' in the top of the file is not known"),
        ('["dgst"]', '["magic"]', "unknown method 'magic'"),
        ('step_rule = "plain"', 'step_rule = "jump"', "'step_rule'"),
        ('step_rule = "plain"', "gamma = 3", "cannot set gamma"),
        ("shots = [2]", "shots = [0]", "at least 1"),
        ('phantom = "hospital"', 'phantom = "hospital"\nraw = "x"', "either 'raw' or 'phantom'"),
        ('devices = ["cpu"]', 'devices = ["abacus"]', "'device'"),
        ("[settings]", "[settings", "Expected"),
        ("epochs = 2", "epoch = 2", "'epoch' in [settings] is not known; did you mean 'epochs'?"),
        ("[settings]", "[settings.dgst]\nlearning_rat = 1\n[settings]",
         "'learning_rat' in [settings.dgst] is not known; did you mean 'learning_rate'?"),
        ("[settings]", "[settings.dgts]\nepochs = 1\n[settings]",
         "'dgts' in [settings] is not known; did you mean 'dgst'?"),
        ("shots = [2]", "shot = [2]", "'shot' in [[datasets]] 'Hospital' is not known; did you mean 'shots'?"),
        ("shots = [2]", "shots = 2", "'shots' in [[datasets]] 'Hospital' must be a list, each value a whole number"),
        ("shots = [2]", "", "[[datasets]] 'Hospital' needs 'shots'"),
        ("cases = 1", "shots = 1", "'shots' in [source] is not known"),
        ("size = [48, 48, 16]", "size = [48, 48]", "'size' in [source] must be a list of 3 values"),
        ("epochs = 2", 'epochs = "two"', "[settings]: 'epochs' must be a whole number"),
        ('name = "Hospital"', 'name = "source"', "'source'"),
    ],
)
def test_a_wrong_configuration_is_refused_before_any_work(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(UserError) as refusal:
        read_config(config_file(tmp_path, SMALL.replace(old, new, 1)))
    assert message in str(refusal.value)


# The folder of an experiment


def jobs_of(out: Path) -> list[Job]:
    return JobStore(out / "home" / "jobs").list()


@pytest.fixture
def finished(own_home: Home, here: None, tmp_path: Path) -> tuple[Path, Path]:
    """A configuration and the folder in which it was done."""
    config, out = config_file(tmp_path, SMALL.replace("gamma_shots = 2\n", "")), tmp_path / "out"
    assert main(["benchmark", str(config), "--out", str(out)]) == 0
    return config, out


def edit(config: Path, old: str, new: str) -> None:
    text = config.read_text(encoding="utf-8")
    assert old in text
    config.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize("is_old", [False, True], ids=["", "made by an older version"])
def test_the_report_of_another_configuration_is_refused_and_the_finished_one_stays(
    finished: tuple[Path, Path], is_old: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    config, out = finished
    if is_old:
        (out / "experiment.json").unlink()
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    for old, new, said in (("epochs = 2", "epochs = 3", "epochs was 2, now 3"),
                           ("cases = 4", "cases = 5", "" if is_old else "datasets.Hospital.cases was 4, now 5")):
        edit(config, old, new)
        for options in (["--report-only"], []) if not is_old or "epochs" in old else (["--report-only"],):
            assert main(["benchmark", str(config), "--out", str(out), *options]) == 1
            assert said in capsys.readouterr().err
            assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
        edit(config, new, old)
    assert main(["benchmark", str(config), "--out", str(out), "--report-only", "--json"]) == 0
    assert '"done": 1' in capsys.readouterr().out


def test_a_report_of_nothing_makes_nothing(
    own_home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["benchmark", str(config_file(tmp_path)), "--out", str(tmp_path / "out"), "--report-only"]) == 1
    assert "There is nothing to report in out" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_report_makes_no_jobs(
    finished: tuple[Path, Path], own_home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    config, out = finished
    for job in jobs_of(out):
        job.remove()
    assert main(["benchmark", str(config), "--out", str(out), "--report-only"]) == 0
    assert jobs_of(out) == []
    assert "0 of 1 runs are done" in capsys.readouterr().out


def test_more_seeds_are_added_to_what_is_done(
    finished: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    config, out = finished
    first = [job.id for job in jobs_of(out)]
    edit(config, "gammas", "seeds = [0, 1]\ngammas")
    assert main(["benchmark", str(config), "--out", str(out), "--report-only"]) == 1
    assert "seeds was [0], now [0, 1]" in capsys.readouterr().err
    assert main(["benchmark", str(config), "--out", str(out)]) == 0
    assert len(jobs_of(out)) == 2 and jobs_of(out)[0].id == first[0]
    edit(config, "seeds = [0, 1]", "seeds = [1]")
    assert main(["benchmark", str(config), "--out", str(out)]) == 1
    assert "seeds was [0, 1], now [1]" in capsys.readouterr().err


def test_data_that_are_not_there_are_said_before_any_case_is_read(
    own_home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = '\n[[datasets]]\nname = "Gone"\nraw = "gone"\nshots = [1]\n'
    assert main(["benchmark", str(config_file(tmp_path, SMALL + more)), "--out", str(tmp_path / "out")]) == 1
    printed = capsys.readouterr()
    assert "cases of 'Gone'" in printed.err and str(tmp_path / "gone") in printed.err
    assert "Reading" not in printed.err and not (tmp_path / "out").exists()


# The foundation model


def test_a_model_that_is_not_there_is_named_before_any_data_are_read(
    own_home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = config_file(tmp_path, SMALL.replace("phantom-demonstration", "ln-seg-fm"))
    assert main(["benchmark", str(config), "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert "no model 'ln-seg-fm'" in error and "phantom-demonstration (demonstration)" in error
    assert "'model' at the top of the configuration" in error and "Reading" not in error
    assert not (tmp_path / "out").exists()


def test_the_foundation_model_is_the_default_model_or_named_by_a_beginning(own_home: Home, tmp_path: Path) -> None:
    store = ModelStore(own_home.models)
    with pytest.raises(UserError, match="is of the kind 'demonstration'"):
        find_foundation("", tmp_path, store)
    first = add_model(own_home, "nnUNetTrainer__nnUNetPlans__3d_fullres", kind="foundation", parent="")
    found = find_foundation("", tmp_path, store)
    assert isinstance(found, ModelInfo) and found.id == first.id
    found = find_foundation(first.id[:8], tmp_path, store)
    assert isinstance(found, ModelInfo) and found.id == first.id
    adapted = add_model(own_home, "Ours", parent=first.id)
    store.set_default(adapted.id)
    # An experiment must not begin with an adapted model by mistake.
    with pytest.raises(UserError, match=r"is of the kind 'adapted'.*'model'"):
        find_foundation("", tmp_path, store)
    found = find_foundation("ours", tmp_path, store)
    assert isinstance(found, ModelInfo) and found.id == adapted.id
    (tmp_path / "weights").mkdir()
    assert find_foundation("weights", tmp_path, store) == tmp_path / "weights"


def planned(config: Config, model: ModelInfo, cases: int = 120) -> list[Planned]:
    refs = [CaseRef(f"case-{number:04d}", 1) for number in range(cases)]
    whole = Split(tuple(refs[: cases * 4 // 5]), tuple(refs[cases * 4 // 5 :]))
    return plan_runs(config, model, {dataset.name: whole for dataset in config.datasets}, ())


@pytest.mark.parametrize(("name", "shots"), [("segrap2023", (3, 5, 10)), ("lnq2023", (5, 10, 20))])
def test_the_ready_configurations_are_the_papers(
    demonstration_model: ModelInfo, name: str, shots: tuple[int, ...]
) -> None:
    config = read_config(REPOSITORY / "docs" / "experiments" / f"{name}.toml")
    runs = planned(config, demonstration_model)
    keys = {RunKey.of(run) for run in runs}
    dataset = config.datasets[0].name
    # Table 1, All-shot, Table 2's ablation, Fig. 3 beyond γ 1.
    assert len(runs) == len(keys) == 8 * 3 + 1 + 5 * 2 + 4
    for method in ("scratch", "full", "linear", "bias", "adapter", "lora", "affine", "dgst"):
        assert {run.shots for run in runs if run.method == method} == set(shots)
    for run in runs:
        assert len(run.spec.holdout) == 24
        assert len(run.spec.cases) == (96 if run.method == "allshot" else run.shots)
        pretraining = run.method in ("scratch", "allshot")
        assert (run.spec.epochs, run.spec.learning_rate) == ((2000, 1e-2) if pretraining else (50, 1e-3))
        assert (run.spec.iterations_per_epoch, run.spec.batch_size) == (250, 2)
        assert (run.spec.step_rule, run.spec.momentum) == ("momentum", 0.99)
    assert {run.gamma for run in runs if (run.method, run.shots) == ("dgst", shots[-1])} == {1, 2, 3, 5, 10}
    assert dataset == {"segrap2023": "SegRap2023", "lnq2023": "LNQ2023"}[name]


def test_the_phantom_configuration_has_the_shape_of_the_papers_tables(demonstration_model: ModelInfo) -> None:
    config = read_config(REPOSITORY / "docs" / "experiments" / "phantom.toml")
    assert len(planned(config, demonstration_model, 30)) == 2 * 39


def test_fewer_shots_are_among_more_and_another_seed_draws_others(demonstration_model: ModelInfo) -> None:
    config = replace(read_config(REPOSITORY / "docs" / "experiments" / "phantom.toml"), seeds=(0, 1))
    runs = planned(config, demonstration_model, 30)
    drawn = {
        (run.seed, run.shots): {case.id for case in run.spec.cases}
        for run in runs if (run.dataset, run.method, run.gamma) == ("Other hospital", "dgst", 1)
    }
    assert drawn[0, 3] < drawn[0, 5] < drawn[0, 10] and drawn[0, 10] != drawn[1, 10]
    test = {case.id for run in runs for case in run.spec.holdout}
    assert not test & {case.id for run in runs for case in run.spec.cases}


def test_partial_cases_are_never_test_cases(tmp_path: Path) -> None:
    store = CaseStore(tmp_path)
    for seed in range(5):
        phantom = make_case("hospital", seed, size=(40, 40, 16), spacing=(3.0, 3.0, 4.0))
        if seed < 4:
            phantom.labels[:, :, :4] = 9
        store.accept(phantom.ct, phantom.labels, ignore=9)
    ids = [case.id for case in store.list()]
    for seed in range(4):
        assert split(store, ids, seed).test == (CaseRef(ids[4], 1),)
    with pytest.raises(UserError, match="annotated completely"):
        split(store, ids[:4], 0)
    with pytest.raises(UserError, match="Ask for fewer shots"):
        split(store, ids, 0).shots(5, 0)
