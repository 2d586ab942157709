"""The bundled model: a second case in one session, and a whole command, against nnU-Net's own commands."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from bench.targets import Targets
from lnsegfm.base.home import Home
from lnsegfm.base.processes import child_environment
from lnsegfm.engine.openvino_runtime import version
from lnsegfm.engine.precision import bfloat16_is_faster
from lnsegfm.evaluation.metrics import dice
from lnsegfm.models.model_store import ModelStore
from lnsegfm.models.published.catalogue import install_bundled
from lnsegfm.phantom import make_case
from lnsegfm.segmentation.worker_client import WorkerClient

# What the command nnUNetv2_predict_from_modelfolder runs.
STOCK = "from nnunetv2.inference import predict_from_raw_data as stock; stock.predict_entry_point_modelfolder()"
OURS = "import sys; from lnsegfm.cli import main; sys.exit(main())"
# A neck CT of 1 mm in plane.
GRID: dict[str, Any] = {"size": (192, 192, 48), "spacing": (1.0, 1.0, 3.0)}
_WAYS = {
    "PyTorch": {"backend": "torch"}, "OpenVINO, single": {"backend": "openvino"},
    "OpenVINO, bfloat16": {"backend": "openvino", "precision": "bfloat16"},
}  # fmt: skip


def print_table(targets: Targets) -> None:
    """Print the seconds of all ways on the same two scans, with mirroring, on the CPU."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        home = Home(folder / "home")
        install_bundled(ModelStore(home.models))
        model = ModelStore(home.models).list()[0]
        scans = [_scan(folder / f"scan{number}", number) for number in (1, 2)]
        ways = {name: way for name, way in _WAYS.items() if _there(name)}
        seconds = {name: _session(home, model.id, scans, folder / name, way) for name, way in ways.items()}
        stock = [
            sys.executable, "-c", STOCK, "-i", str(scans[1].parent), "-o", str(folder / "stock"), "-m",
            str(model.path), "-f", "all", "-device", "cpu", "--disable_progress_bar",
        ]  # fmt: skip
        stock_wall, stock_cpu = _command(stock, home)
        ours = [
            sys.executable, "-c", OURS, "segment", str(scans[1]), "-o", str(folder / "ours.nrrd"), "-m", model.id,
            "--quiet", "--overwrite",
        ]  # fmt: skip
        ours_cpu = {name: _command([*ours, *_options(way)], home)[1] for name, way in ways.items()}
        expected = _array(folder / "stock" / "scan.nii.gz")
        agreement = {name: dice(_array(folder / name / "labels-1.nrrd"), expected) for name in ways}
    print("### A scan of 192x192x48 voxels, the bundled model, mirroring on, CPU\n")
    print("| way | first case in a session, s | second case, s | nnUNetv2_predict takes times | whole command, CPU s | "
          "nnU-Net's takes times | Dice to nnU-Net |\n|---|---|---|---|---|---|---|")  # fmt: skip
    print(f"| nnU-Net, a process per case | {stock_wall:.1f} | {stock_wall:.1f} | 1.0 | {stock_cpu:.1f} | 1.0 | 1 |")
    for name, (first, second) in seconds.items():
        print(f"| {name} | {first:.1f} | {second:.1f} | {stock_wall / second:.1f} | {ours_cpu[name]:.1f} | "
              f"{stock_cpu / ours_cpu[name]:.1f} | {agreement[name]:.5f} |")  # fmt: skip
    print()
    for name, least in (("OpenVINO, single", 10), ("OpenVINO, bfloat16", 15)):
        if name in seconds:
            what = f"bundled model, {name}: second case, times as fast as nnUNetv2_predict"
            targets.at_least(what, stock_wall / seconds[name][1], least)
    best = min(ours_cpu, key=lambda name: ours_cpu[name])
    targets.at_least(f"lnsegfm segment ({best}): times less CPU than nnU-Net's command", stock_cpu / ours_cpu[best], 8)


def _there(name: str) -> bool:
    return name == "PyTorch" or (version() is not None and ("bfloat16" not in name or bfloat16_is_faster()))


def _options(way: dict[str, str]) -> list[str]:
    return [word for name, value in way.items() for word in (f"--{name}", value)]


def _scan(folder: Path, number: int) -> Path:
    folder.mkdir()
    path = folder / "scan_0000.nii.gz"
    sitk.WriteImage(make_case("source", number, **GRID).ct, str(path))
    return path


def _array(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def _session(
    home: Home, model: str, scans: list[Path], folder: Path, way: dict[str, str]
) -> tuple[float, float]:
    """Return the seconds of the first and the second case; the first starts the worker, and may convert the model."""
    folder.mkdir()
    worker = WorkerClient(env=child_environment(extra={"LNSEGFM_HOME": str(home.root)}))
    seconds = []
    for number, scan in enumerate(scans):
        started = time.perf_counter()
        output = str(folder / f"labels-{number}.nrrd")
        worker.request("segment", model=model, image=str(scan), output=output, device="cpu", **way).wait(timeout_s=900)
        seconds.append(time.perf_counter() - started)
    worker.close()
    return seconds[0], seconds[1]


def _command(command: Sequence[str], home: Home) -> tuple[float, float]:
    """Return the seconds and the CPU seconds of a command with all its processes."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, "LNSEGFM_HOME": str(home.root)}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - started, used
