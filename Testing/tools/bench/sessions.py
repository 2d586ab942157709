"""A second segmentation in one session against a process per case, as ``nnUNetv2_predict`` is called."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from lnsegfm.base.home import Home
from lnsegfm.base.processes import child_environment
from lnsegfm.evaluation.metrics import dice
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.models.model_store import ModelStore
from lnsegfm.models.published.catalogue import install_bundled
from lnsegfm.phantom import make_case
from lnsegfm.segmentation.worker_client import WorkerClient

# What the command nnUNetv2_predict_from_modelfolder runs.
STOCK = "from nnunetv2.inference import predict_from_raw_data as stock; stock.predict_entry_point_modelfolder()"
# A neck CT of 1 mm in plane.
GRID: dict[str, Any] = {"size": (192, 192, 48), "spacing": (1.0, 1.0, 3.0)}


def print_table() -> None:
    """Print the seconds of both ways on the same two scans, with mirroring, on the CPU."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        home = Home(folder / "home")
        install_bundled(ModelStore(home.models))
        model = ModelStore(home.models).list()[0]
        scans = []
        for number in (1, 2):
            scan = folder / f"scan{number}" / "scan_0000.nrrd"
            scan.parent.mkdir()
            sitk.WriteImage(make_case("source", number, **GRID).ct, str(scan))
            scans.append(scan)
        session = _session(home, model, scans, folder)
        stock, stock_labels = _stock(model, scans[1], folder)
        ours = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "ours-1.nrrd")))
        agreement = dice(ours, sitk.GetArrayFromImage(sitk.ReadImage(str(stock_labels))))
    print("### Segmentation of a scan of 192x192x48 voxels with the phantom model, mirroring on, CPU\n")
    print("| way | seconds | times the session's |\n|---|---|---|")
    for name, value in (("first in a session (starts the worker)", session[0]), ("second in a session", session[1]),
                        ("nnU-Net's own prediction, a process per case", stock)):
        print(f"| {name} | {value:.1f} | {value / session[1]:.1f} |")
    print(f"\nDice of the two ways' labels: {agreement:.5f}")


def _session(home: Home, model: ModelInfo, scans: list[Path], folder: Path) -> list[float]:
    worker = WorkerClient(env=child_environment(extra={"LNSEGFM_HOME": str(home.root)}))
    seconds = []
    for number, scan in enumerate(scans):
        started = time.perf_counter()
        output = str(folder / f"ours-{number}.nrrd")
        worker.request("segment", model=model.id, image=str(scan), output=output, device="cpu").wait(timeout_s=900)
        seconds.append(time.perf_counter() - started)
    worker.close()
    return seconds


def _stock(model: ModelInfo, scan: Path, folder: Path) -> tuple[float, Path]:
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", STOCK, "-i", str(scan.parent), "-o", str(folder / "stock"), "-m", str(model.path),
         "-f", "all", "-device", "cpu", "--disable_progress_bar"],
        check=True, capture_output=True,
    )
    return time.perf_counter() - started, folder / "stock" / "scan.nrrd"
