"""Resampling of a CT to a model's voxels against nnU-Net's function; each run in a process of its own."""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

import numpy as np

from bench.peak import peak_gb
from bench.targets import Targets

SHAPE, SPACING = (150, 512, 512), (2.5, 0.78, 0.78)
WANTED = (3.0, 0.8, 0.8)
WAYS = {"nnunet": "nnU-Net's function", "matrices": "one matrix for each axis"}


def print_table(repeats: int, targets: Targets) -> None:
    """Print time, memory and the difference of both ways, in turns."""
    runs: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    for _ in range(repeats):
        for way in WAYS:
            done = subprocess.run([sys.executable, "-m", "bench.resampling", way], capture_output=True, check=True)
            runs[way].append(json.loads(done.stdout))
    medians = {
        way: {name: statistics.median(run[name] for run in of) for name in ("cpu", "wall", "peak")}
        for way, of in runs.items()
    }
    stock = medians["nnunet"]
    print(f"### Resampling of {'x'.join(map(str, SHAPE[::-1]))} voxels to 0.8 x 0.8 x 3 mm, order 3, CPU\n")
    print("| way | CPU seconds | ratio | seconds | ratio | peak memory besides the CT, GB | ratio |")
    print("|---|---|---|---|---|---|---|")
    for way, each in medians.items():
        cells = [f"{each[name]:.2f} | {each[name] / stock[name]:.2f}" for name in ("cpu", "wall", "peak")]
        print(f"| {WAYS[way]} | {' | '.join(cells)} |")
    difference = abs(runs["nnunet"][0]["sum"] - runs["matrices"][0]["sum"])
    print(f"\nThe sums of all absolute values differ by {difference / runs['nnunet'][0]['sum']:.1e} of themselves.\n")
    ours = medians["matrices"]
    targets.at_least("resampling of 512x512x150: times less CPU than nnU-Net's", stock["cpu"] / ours["cpu"], 8)
    targets.at_most("resampling of 512x512x150: share of nnU-Net's peak memory", ours["peak"] / stock["peak"], 0.4)


def _run(way: str) -> dict[str, float]:
    from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg_to_shape

    from lnsegfm.engine.networks.exact_resampling import resample

    values = np.random.default_rng(0).normal(0, 1, (1, *SHAPE)).astype(np.float32)
    shape = [round(size * old / new) for size, old, new in zip(SHAPE, SPACING, WANTED)]
    before, started, used = peak_gb(), time.perf_counter(), _cpu()
    if way == "nnunet":
        result = resample_data_or_seg_to_shape(values, shape, SPACING, WANTED, is_seg=False, order=3, order_z=0,
                                               force_separate_z=None)  # fmt: skip
    else:
        result = resample(values, shape, SPACING, WANTED, order=3, order_z=0, force_separate_z=None)
    cpu, wall, peak = _cpu() - used, time.perf_counter() - started, peak_gb() - before
    return {"cpu": cpu, "wall": wall, "peak": peak, "sum": float(np.abs(result).sum(dtype=np.float64))}


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    print(json.dumps(_run(sys.argv[1])))
