"""The paper's network on a whole phantom: this build's backends against PyTorch in the build before."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from bench.before import COMMIT, NoBuildBefore, check_out
from bench.network import PATCH, paper_plans
from bench.segment_once import OPENVINO, OPENVINO_BFLOAT16, TORCH, Cost, segment_once
from bench.targets import Targets
from lnsegfm.engine.networks.model_install import install_model
from lnsegfm.engine.openvino_runtime import version
from lnsegfm.engine.precision import bfloat16_is_faster
from lnsegfm.evaluation.metrics import dice
from lnsegfm.models.model_store import ModelStore
from lnsegfm.phantom import make_case
from tiny_models import make_model

# Four tiles of the paper's patch.
SIZE, SPACING = (300, 112, 120), (0.8, 0.8, 3.0)


def print_table(targets: Targets) -> None:
    """Print what four tiles take without mirroring, which would take eight times as long for all alike."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = ModelStore(folder / "models")
        install_model(store, make_model(folder / "results", plans=paper_plans(), seed=1))
        ct = folder / "ct.nrrd"
        sitk.WriteImage(make_case("source", 1, size=SIZE, spacing=SPACING).ct, str(ct))
        rows = _rows(folder, store.root, ct)
    print(f"### The paper's network (31 M, random weights), a phantom of {'x'.join(map(str, SIZE))} voxels, "
          f"tiles of {'x'.join(map(str, PATCH))}, no mirroring, CPU\n")  # fmt: skip
    first, reference = next(iter(rows.values()))[0], rows["PyTorch"][1]
    print("| way | CPU seconds | times as fast | seconds | peak memory, GB | share | Dice to PyTorch |")
    print("|---|---|---|---|---|---|---|")
    for name, (cost, labels) in rows.items():
        print(f"| {name} | {cost.cpu:.1f} | {first.cpu / cost.cpu:.2f} | {cost.wall:.1f} | {cost.peak:.2f} | "
              f"{cost.peak / first.peak:.2f} | {dice(labels, reference):.5f} |", flush=True)  # fmt: skip
    print("\nThe labels of random weights are near the edge of a decision everywhere, and the build before sums tiles "
          "in half precision. Labels of a trained model are compared below.\n")  # fmt: skip
    for name, least in (("OpenVINO, single", 1.6), ("OpenVINO, bfloat16", 3.4)):
        if name in rows:
            cost = rows[name][0]
            targets.at_least(f"paper's network, {name}: times as fast as before", first.cpu / cost.cpu, least)
            targets.at_most(f"paper's network, {name}: peak memory to before", cost.peak / first.peak, 0.6)


def _rows(folder: Path, home: Path, ct: Path) -> dict[str, tuple[Cost, np.ndarray]]:
    ways: list[tuple[str, str, Path | None]] = []
    try:
        ways.append((f"PyTorch, build before ({COMMIT[:7]})", TORCH, check_out(folder / "before")))
    except NoBuildBefore as error:
        print(f"{error}\n")
    ways.append(("PyTorch", TORCH, None))
    if version() is not None:
        ways.append(("OpenVINO, single", OPENVINO, None))
        if bfloat16_is_faster():
            ways.append(("OpenVINO, bfloat16", OPENVINO_BFLOAT16, None))
    rows = {}
    for number, (name, way, library) in enumerate(ways):
        labels = folder / f"labels-{number}.npy"
        if way != TORCH and number and ways[number - 1][1] == TORCH:
            segment_once(home, ct, labels, way, mirroring=False)  # converts, which is done once for a model
        rows[name] = segment_once(home, ct, labels, way, mirroring=False, library=library), np.load(labels)
    return rows
