"""What a job will cost, measured; and jobs that are refused before they start."""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.files import read_json
from lnsegfm.base.home import Home
from lnsegfm.base.wording import data_size
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.engine.finetuning import iteration_timing as calibration
from lnsegfm.jobs import preflight
from lnsegfm.jobs.job_spec import CaseRef, JobSpec
from lnsegfm.jobs.preflight import check, disk_bytes
from lnsegfm.jobs.timing import Calibration, Calibrations, calibrate
from lnsegfm.models.model_store import ModelStore
from lnsegfm.phantom import make_case

GIB = 1 << 30
COST = {"seconds": 0.25, "device": "cpu: as chosen", "memory_bytes": GIB}


@pytest.fixture
def spec(own_home: Home) -> JobSpec:
    phantom = make_case("hospital", 1, size=(32, 32, 16), spacing=(4, 4, 6))
    case = CaseStore(own_home.cases).accept(phantom.ct, phantom.labels)
    model = ModelStore(own_home.models).list()[0]
    return JobSpec(model.id, model.sha256, (CaseRef(case.id, 1),), device="cpu")


def script(text: str) -> Callable[[Path], Sequence[str]]:
    """A process that plays the one that measures; it gets its folder as the first argument."""
    head = "import json, sys, time; from pathlib import Path; folder = Path(sys.argv[1]); "
    return lambda folder: [sys.executable, "-c", head + text, str(folder)]


def answer(content: Any) -> Callable[[Path], Sequence[str]]:
    return script(f"(folder / 'result.json').write_text({json.dumps(content)!r})")


def find(home: Home, spec: JobSpec, **changes: Any) -> Calibration | None:
    key = {"base_sha256": spec.base_sha256, "device": spec.device, "method": spec.method, "batch_size": 2}
    return Calibrations(home).find(**{**key, **changes})


def test_a_job_of_few_iterations_is_measured_on_a_fast_computer(
    own_home: Home, spec: JobSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More iterations are measured than such a job has."""
    monkeypatch.setattr("lnsegfm.engine.finetuning.iteration_timing._ENOUGH_S", math.inf)
    monkeypatch.setattr("lnsegfm.engine.finetuning.iteration_timing._MOST", 4)
    for name, value in (("nnUNet_preprocessed", "."), ("nnUNet_results", "."), ("nnUNet_n_proc_DA", "0")):
        monkeypatch.setenv(name, value)
    folder = own_home.root / "measured"
    folder.mkdir()
    base = ModelStore(own_home.models).list()[0]
    found = calibration.measure(
        replace(spec, cases=(CaseRef(calibration.CASE, 1),), epochs=1, iterations_per_epoch=2), base, folder
    )
    assert found["seconds"] > 0 and found["device"].startswith("cpu")


def test_what_was_measured_is_remembered_for_jobs_that_cost_the_same(own_home: Home, spec: JobSpec) -> None:
    assert find(own_home, spec) is None
    measured = calibrate(own_home, spec, command=answer(COST))
    assert measured == Calibration(**COST) == find(own_home, spec)
    for other in ({"base_sha256": "cd"}, {"device": "cuda"}, {"method": "full"}, {"batch_size": 1}):
        assert find(own_home, spec, **other) is None


def test_a_damaged_memory_is_measured_anew(own_home: Home, spec: JobSpec) -> None:
    calibrate(own_home, spec, command=answer(COST))
    (own_home.root / "calibrations.json").write_text('{"half')
    assert find(own_home, spec) is None
    calibrate(own_home, spec, command=answer(COST))
    assert find(own_home, spec) is not None


def test_the_reason_why_nothing_could_be_measured_arrives(own_home: Home, spec: JobSpec) -> None:
    problem = UserError("No CUDA GPU can be used.", "There is none.", "Choose the CPU.")
    with pytest.raises(UserError, match="No CUDA GPU"):
        calibrate(own_home, spec, command=answer({"error": problem.to_json()}))
    with pytest.raises(UserError, match="the last words"):
        calibrate(own_home, spec, command=script("sys.exit('the last words')"))
    assert find(own_home, spec) is None


def test_measuring_can_be_stopped(own_home: Home, spec: JobSpec) -> None:
    with pytest.raises(Cancelled):
        calibrate(own_home, spec, command=script("time.sleep(60)"), is_cancelled=lambda: True)


def test_much_output_does_not_block_the_measurement(own_home: Home, spec: JobSpec) -> None:
    text = f"print('x' * 1_000_000); (folder / 'result.json').write_text({json.dumps(COST)!r})"
    assert calibrate(own_home, spec, command=script(text)).seconds == 0.25


def test_real_iterations_are_measured_in_a_process_of_their_own(own_home: Home, spec: JobSpec) -> None:
    pytest.importorskip("nnunetv2")
    measured = calibrate(own_home, spec)
    assert measured.seconds > 0 and measured.device.startswith("cpu") and measured.memory_bytes > 100 << 20
    assert measured.gpu_bytes == measured.gpu_total_bytes == 0


def test_a_job_that_fits_is_let_through(own_home: Home, spec: JobSpec) -> None:
    check(own_home, spec, None)
    check(own_home, spec, Calibration(0.1, "cpu", memory_bytes=1))


def test_a_full_disk_is_told_with_both_numbers(
    own_home: Home, spec: JobSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=GIB // 10))
    with pytest.raises(UserError, match="not enough disk space") as caught:
        check(own_home, spec, None)
    assert caught.value.why == f"It needs {data_size(disk_bytes(own_home, spec))}, and 107 MB is free."


@pytest.mark.parametrize("free", [4 * GIB, None])
def test_too_little_gpu_memory_is_told_with_both_numbers(
    own_home: Home, spec: JobSpec, monkeypatch: pytest.MonkeyPatch, free: int | None
) -> None:
    monkeypatch.setattr(preflight, "free_gpu_bytes", lambda _: free)
    with pytest.raises(UserError, match="not enough GPU memory") as caught:
        check(own_home, spec, Calibration(0.1, "cuda", gpu_bytes=8 * GIB, gpu_total_bytes=4 * GIB))
    assert caught.value.why == "It needs 8.0 GB, and 4.0 GB is free."


def test_too_little_main_memory_is_told(own_home: Home, spec: JobSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "free_memory_bytes", lambda: GIB)
    with pytest.raises(UserError, match="not enough main memory"):
        check(own_home, spec, Calibration(0.1, "cpu", memory_bytes=2 * GIB))


def test_a_further_case_needs_room_for_its_voxels_as_the_model_sees_them(own_home: Home, spec: JobSpec) -> None:
    phantom = make_case("hospital", 2, size=(64, 32, 16), spacing=(4, 4, 6))
    case = CaseStore(own_home.cases).accept(phantom.ct, phantom.labels)
    more = replace(spec, holdout=(CaseRef(case.id, 1),))
    model = ModelStore(own_home.models).get(spec.base_model)
    spacing = read_json(model.path / "plans.json")["configurations"][model.card.configuration]["spacing"]
    voxels = math.prod((64, 32, 16)) * math.prod((4, 4, 6)) / math.prod(spacing)
    assert disk_bytes(own_home, more) - disk_bytes(own_home, spec) == pytest.approx(6 * voxels, abs=1)


def test_a_case_needs_the_memory_of_the_computer_and_not_what_is_free_while_others_work(
    own_home: Home, spec: JobSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job may have to wait for another one, which has the memory now."""
    monkeypatch.setattr("lnsegfm.base.computer.memory.free_memory_bytes", lambda: 1000)
    check(own_home, spec, None)
    monkeypatch.setattr("lnsegfm.models.grid_limits.total_memory_bytes", lambda: 2000)
    with pytest.raises(UserError, match="too large at the voxel size of the model") as caught:
        check(own_home, spec, None)
    assert caught.value.why.endswith("of memory; this computer has 2 kB.")
