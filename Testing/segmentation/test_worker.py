"""The real segmentation worker, as the module uses it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import SimpleITK as sitk

from lnsegfm.base.errors import UserError
from lnsegfm.base.home import Home
from lnsegfm.base.processes import child_environment
from lnsegfm.images.geometry import Geometry
from lnsegfm.phantom import make_case
from lnsegfm.segmentation.worker_client import WorkerClient

MODEL = "phantom-demonstration"


@pytest.fixture(scope="module")
def worker(demonstration_home: Home) -> Iterator[WorkerClient]:
    client = WorkerClient(env=child_environment(extra={"LNSEGFM_HOME": str(demonstration_home.root)}))
    yield client
    client.close()


def scan(folder: Path, size: tuple[int, int, int] = (64, 64, 24)) -> Path:
    path = folder / "ct.nrrd"
    sitk.WriteImage(make_case("source", 21, size=size).ct, str(path))
    return path


def test_a_request_writes_labels_and_returns_measurements(worker: WorkerClient, tmp_path: Path) -> None:
    ct, output = scan(tmp_path), tmp_path / "labels.nrrd"
    request = worker.request("segment", model=MODEL, image=str(ct), output=str(output), device="cpu")
    result = request.wait(timeout_s=120)
    assert Geometry.of(sitk.ReadImage(str(output))) == Geometry.of(sitk.ReadImage(str(ct)))
    assert (result["model"], result["device"]) == (MODEL, "cpu")
    assert "CPU" in result["device_reason"]
    assert all(node["short_axis_mm"] > 0 for node in result["nodes"])
    assert request.progress.fraction == 1.0


def test_a_long_segmentation_is_cancelled_within_a_second_and_the_worker_serves_on(
    worker: WorkerClient, tmp_path: Path
) -> None:
    ct = scan(tmp_path, size=(160, 160, 60))
    request = worker.request("segment", model=MODEL, image=str(ct), output=str(tmp_path / "labels.nrrd"), device="cpu")
    deadline = time.monotonic() + 120
    while not request.progress.fraction:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    asked = time.monotonic()
    request.cancel()
    while not request.done:
        time.sleep(0.01)
    assert request.cancelled
    assert time.monotonic() - asked < 1.5
    assert not (tmp_path / "labels.nrrd").exists()
    assert worker.request("devices").wait(timeout_s=120)["device"] in ("cpu", "cuda", "mps")


def test_a_model_that_was_tampered_with_is_refused(own_home: Home, tmp_path: Path) -> None:
    with (own_home.models / MODEL / "fold_all" / "checkpoint_final.pth").open("ab") as stream:
        stream.write(b"x")
    client = WorkerClient()
    with pytest.raises(UserError, match="SHA-256"):
        client.request("segment", model=MODEL, image=str(scan(tmp_path)), output=str(tmp_path / "o.nrrd")).wait(60)
    client.close()


def test_an_unknown_model_and_an_unreadable_scan_are_errors_in_words(worker: WorkerClient, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not installed"):
        worker.request("segment", model="nothing", image=str(scan(tmp_path)), output=str(tmp_path / "o.nrrd")).wait(60)
    (tmp_path / "broken.nrrd").write_bytes(b"NRRD0004\nnot really\n")
    with pytest.raises(UserError, match=r"broken\.nrrd"):
        worker.request("segment", model=MODEL, image=str(tmp_path / "broken.nrrd"), output="o.nrrd").wait(60)
