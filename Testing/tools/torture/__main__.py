"""``python -m torture``: try everything in turns until the time is over, and print what became of it."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from torture.figures import Figures, write_page


def main() -> int:
    """Return 1 when anything happened that must not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--write", action="store_true", help="write the figures into docs/explanation/robustness.md")
    options = parser.parse_args()
    print(f"Seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="torture-") as room:
        figures = run(Path(room), options.minutes * 60, options.seed)
    print(figures.table())
    for fault, count in sorted(figures.faults.items()):
        print(f"FAULT, {count} times: {fault}")
    if options.write:
        write_page(figures)
    return 1 if figures.faults else 0


def run(room: Path, seconds: float, seed: int) -> Figures:
    """Cut every change once; then damage files and kill jobs in turns until the time is over."""
    # Here, because all of it is imported into each forked process.
    from torture.changes import changes
    from torture.cuts import Cutter
    from torture.fuzzing import Fuzzer
    from torture.killed_jobs import KilledJobs
    from torture.model_targets import model_targets
    from torture.targets import targets

    end, figures = time.monotonic() + seconds, Figures(seed)
    for number, change in enumerate(changes()):
        folder = room / f"change-{number}"
        folder.mkdir()
        cutter = Cutter(change, folder)
        cutter.run()
        figures.add_cuts(cutter.tally)
        print(f"{change.name}: {cutter.operations} operations", flush=True)
    files, jobs = room / "files", room / "jobs"
    files.mkdir()
    jobs.mkdir()
    fuzzers = [Fuzzer(target, files) for target in (*targets(), *model_targets())]
    killed = KilledJobs(jobs, seed)
    turn = 0
    while time.monotonic() < end:
        for fuzzer in fuzzers:
            fuzzer.run(12, seed + turn)
            if time.monotonic() >= end:
                break
        killed.run()
        turn += 1
        print(f"turn {turn}, {max(0, end - time.monotonic()) / 60:.0f} min left", flush=True)
    for fuzzer in fuzzers:
        figures.add_files(fuzzer.target.name, fuzzer.tally)
    figures.add_cuts(killed.tally)
    return figures


if __name__ == "__main__":
    sys.exit(main())
