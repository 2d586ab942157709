"""How long it takes until something happens: imports, the first tile, a command without its network."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import SimpleITK as sitk

from bench.sessions import OURS
from bench.targets import Targets
from lnsegfm.base.background import Progress
from lnsegfm.base.home import Home
from lnsegfm.base.processes import child_environment
from lnsegfm.models.model_store import ModelStore
from lnsegfm.models.published.catalogue import install_bundled
from lnsegfm.phantom import make_case
from lnsegfm.segmentation.segment_options import SegmentOptions
from lnsegfm.segmentation.worker_client import WorkerClient

_IMPORT = """
import sys, time
started = time.process_time()
if sys.argv[1] == "torch":
    import torch
elif sys.argv[1] == "predictor":
    import lnsegfm.engine.inference.predictor
else:
    from lnsegfm.base.serving.process_server import without_collections
    with without_collections():
        import lnsegfm.engine.inference.operations
print(time.process_time() - started)
"""
_IMPORTS = {
    "torch": "PyTorch", "predictor": "the predictor, as a script does", "worker": "all of the worker, as it does",
}  # fmt: skip
_REPEATS = 3


def print_table(targets: Targets) -> None:
    """Print medians of three."""
    print("### Start\n\n| import of | CPU seconds | times PyTorch's |\n|---|---|---|")
    seconds = {what: statistics.median(_import(what) for _ in range(_REPEATS)) for what in _IMPORTS}
    for what, words in _IMPORTS.items():
        print(f"| {words} | {seconds[what]:.2f} | {seconds[what] / seconds['torch']:.2f} |")
    # The computer took 1.8 s for PyTorch, of 2.2 s that were wanted.
    targets.at_most("import of the worker: times PyTorch's", seconds["worker"] / seconds["torch"], 2.2 / 1.8)
    with tempfile.TemporaryDirectory() as name:
        home = Home(Path(name) / "home")
        install_bundled(ModelStore(home.models))
        model = ModelStore(home.models).list()[0].id
        ct = Path(name) / "ct.nrrd"
        sitk.WriteImage(make_case("source", 1, size=(512, 512, 20), spacing=(0.8, 0.8, 3.0)).ct, str(ct))
        _first_tile(home, model, ct, warm=False)  # converts the model
        found = {warm: statistics.median(_first_tile(home, model, ct, warm=warm) for _ in range(_REPEATS))
                 for warm in (False, True)}  # fmt: skip
        besides = statistics.median(_besides_network(home, model, ct) for _ in range(_REPEATS))
    print("\n| from the request for 512x512x20 voxels to the first tile | seconds |\n|---|---|")
    for warm, value in found.items():
        print(f"| {'module open: worker warm' if warm else 'no worker yet'} | {value:.2f} |")
    print(f"\n`lnsegfm segment` of it spends {besides:.1f} s besides the network.\n")
    targets.at_most("request to first tile with a warm worker, s", found[True], 1.0)
    targets.at_most("lnsegfm segment of 20 slices besides the network, s", besides, 3.0)


def _import(what: str) -> float:
    done = subprocess.run([sys.executable, "-c", _IMPORT, what], check=True, capture_output=True, text=True)
    return float(done.stdout)


def _first_tile(home: Home, model: str, ct: Path, *, warm: bool) -> float:
    worker = WorkerClient(env=child_environment(extra={"LNSEGFM_HOME": str(home.root)}))
    options = SegmentOptions(model, device="cpu").to_json()
    try:
        if warm:
            worker.request("warm_up", **options).wait(timeout_s=120)
        started = time.perf_counter()
        request = worker.request("segment", **options, image=str(ct), output=str(ct.with_name("labels.nrrd")))
        while not _computes(request.progress):
            time.sleep(0.002)
        return time.perf_counter() - started
    finally:
        worker.close()


def _computes(progress: Progress | None) -> bool:
    return progress is not None and progress.message.startswith("Segmenting")


def _besides_network(home: Home, model: str, ct: Path) -> float:
    """Return the seconds of a command before the first and after the last tile, which it tells as lines."""
    command = [
        sys.executable, "-c", OURS, "segment", str(ct), "-o", str(ct.with_name("out.nrrd")), "-m", model, "--overwrite",
        "--device", "cpu",
    ]  # fmt: skip
    environment = {**os.environ, "LNSEGFM_HOME": str(home.root)}
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stderr is not None
    first = last = 0.0
    for line in process.stderr:
        now = time.perf_counter() - started
        if "Segmenting" in line:
            first = first or now
        elif first and not last:
            last = now
    process.wait()
    return time.perf_counter() - started - (last - first)
