"""``lnsegfm benchmark``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tqdm import tqdm

from lnsegfm.base.errors import UserError
from lnsegfm.base.home import Home
from lnsegfm.models.catalogue import install_bundled
from lnsegfm.models.model_store import ModelInfo, ModelStore
from lnsegfm.research.benchmark.benchmark_config import read_config
from lnsegfm.research.benchmark.benchmark_run import Benchmark
from lnsegfm.research.benchmark.execution import Progress


def add_to(commands: Any) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "benchmark", help="the paper's experiment; the same command again continues what was interrupted"
    )
    parser.add_argument("config", type=Path, help="configuration (TOML), see docs/how-to/benchmark-the-paper.md")
    parser.add_argument("--out", type=Path, required=True, help="folder of the experiment and its report")
    parser.add_argument("--report-only", action="store_true", help="write the report of what is done, and end")
    parser.set_defaults(run=_benchmark)


def _install(store: ModelStore, source: Path) -> ModelInfo:
    from lnsegfm.engine.networks.model_install import install_model

    return install_model(store, source)


def _benchmark(options: argparse.Namespace) -> None:
    benchmark = Benchmark(read_config(options.config), options.out, _install)
    installed = ModelStore(Home.default().models)
    install_bundled(installed)
    benchmark.prepare(installed, lambda text: print(f"Reading {text}", flush=True))
    print(f"{len(benchmark.planned)} runs; the report is {options.out / 'report.md'}", flush=True)
    if options.report_only:
        benchmark.report()
        return
    with tqdm(total=len(benchmark.planned), unit="run", smoothing=0) as bar:

        def show(progress: Progress) -> None:
            bar.set_postfix_str("; ".join(progress.running), refresh=False)
            bar.update(progress.done - bar.n)

        ended = benchmark.run(show)
    for name, reason in ended.failed.items():
        print(f"Failed: {name}: {reason}")
    if ended.failed:
        raise UserError(
            f"{len(ended.failed)} of {ended.total} runs failed.", "The report names them as not done.",
            "Correct what is said above and give the same command again.",
        )
