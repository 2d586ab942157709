"""``lnsegfm benchmark``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lnsegfm.base.errors import UserError
from lnsegfm.cli.output.progress_lines import ProgressLines
from lnsegfm.cli.terminal import Command, examples, note, open_session, print_json, say, terminal, warn

if TYPE_CHECKING:
    from lnsegfm.models.model_card import ModelInfo
    from lnsegfm.models.model_store import ModelStore
    from lnsegfm.research.benchmark.benchmark_run import Benchmark
    from lnsegfm.research.benchmark.execution import Progress

_HELP = """Run the paper's experiment and write its report; the same command again continues.

    CONFIG is a TOML file; docs/how-to/benchmark-the-paper.md describes its entries, and docs/experiments has those of
    the paper. Without an entry 'model' the experiment begins with the default model (see 'models default').

    The folder keeps what it was made with. A configuration with more seeds, methods, shots, gammas or datasets adds
    runs to it; any other change is refused.

    JSON: an object with folder, report (path), model (id and SHA-256), runs, done and failed (a list of run and
    reason).
    """
_EXAMPLES = examples(
    "lnsegfm benchmark docs/experiments/segrap2023.toml --out results",
    "lnsegfm benchmark docs/experiments/segrap2023.toml --out results --report-only",
)


def register(app: typer.Typer) -> None:
    """Register the command."""
    app.command("benchmark", cls=Command, help=_HELP, epilog=_EXAMPLES)(benchmark)


def benchmark(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="Configuration (TOML).")],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="Folder of the experiment and its report.")
    ],
    report_only: Annotated[
        bool, typer.Option("--report-only", help="Write the report of what is done, and end; nothing is run.")
    ] = False,
) -> None:
    """Run the experiment, see `_HELP`."""
    from lnsegfm.research.benchmark.benchmark_config import read_config
    from lnsegfm.research.benchmark.benchmark_run import Benchmark

    experiment = Benchmark(read_config(config), out, _install)
    if report_only:
        experiment.reopen()
        done = experiment.report()
        _tell(experiment, done, {})
        return
    with open_session() as session:
        session.models.install_bundled()
        experiment.prepare(session.models.store, lambda text: note(f"Reading {text}"))
    base = experiment.base
    note(f"{len(experiment.planned)} runs with the foundation model {base.id} ({base.name}, SHA-256 {base.sha256})")
    ended = _run(experiment)
    _tell(experiment, ended.done, ended.failed)
    if ended.failed:
        raise UserError(
            f"{len(ended.failed)} of {ended.total} runs failed.", "The report names them as not done.",
            "Correct what is said above and give the same command again.",
        )


def _install(store: ModelStore, source: Path) -> ModelInfo:
    from lnsegfm.engine.networks.model_install import install_model

    return install_model(store, source)


def _run(experiment: Benchmark) -> Progress:
    with ProgressLines(len(experiment.planned), "run") as lines:

        def show(progress: Progress) -> None:
            lines.update(progress.done, "Running", "; ".join(progress.running))

        try:
            return experiment.run(show)
        except KeyboardInterrupt:
            warn("The runs at work stop at the next iteration and keep their checkpoints; the same command continues.")
            raise


def _tell(experiment: Benchmark, done: int, failed: dict[str, str]) -> None:
    report = experiment.folder / "report.md"
    if terminal.as_json:
        base = experiment.base
        print_json({
            "folder": str(experiment.folder), "report": str(report), "model": {"id": base.id, "sha256": base.sha256},
            "runs": len(experiment.planned), "done": done,
            "failed": [{"run": name, "reason": reason} for name, reason in failed.items()],
        })  # fmt: skip
        return
    for name, reason in failed.items():
        print(f"Failed: {name}: {reason}")
    say(f"{done} of {len(experiment.planned)} runs are done; the report is {report}")
