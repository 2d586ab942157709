"""``lnsegfm evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lnsegfm.base.errors import UserError
from lnsegfm.base.outputs import check_outputs
from lnsegfm.cli.label_choices import Grid, Values, input_options
from lnsegfm.cli.output.progress_lines import ProgressLines
from lnsegfm.cli.terminal import Command, examples, print_json, say, terminal

_HELP = """Score predicted labels against the truth: DSC, NSD, and lymph nodes found and false by size.

    PRED and TRUTH are two label files, or two folders; files of one name are one case. Where cases cannot be scored the
    others are, and the exit code is 1.

    JSON: the content of summary.json: cases, dsc and nsd (mean, sd), nodes (counts by short axis), settings,
    conventions, warnings, refused, missing_predictions and missing_truths.
    """
_EXAMPLES = examples(
    "lnsegfm evaluate results labelsTs --out scores",
    "lnsegfm evaluate results labelsTs --tolerance 2 --overlap 0.5 --json",
    "lnsegfm evaluate results segrap2023 --channel GTVnd",
)


def register(app: typer.Typer) -> None:
    """Register the command."""
    app.command("evaluate", cls=Command, help=_HELP, epilog=_EXAMPLES)(evaluate)


def _channel(text: str) -> int:
    from lnsegfm.evaluation.label_pairs import SEGRAP_CHANNELS

    if text in SEGRAP_CHANNELS:
        return SEGRAP_CHANNELS[text]
    if not text.isdecimal():
        raise typer.BadParameter(f"{text!r} is neither a number nor one of {', '.join(SEGRAP_CHANNELS)}")
    return int(text)


def evaluate(
    pred: Annotated[Path, typer.Argument(metavar="PRED", help="Label file, or folder of label files.")],
    truth: Annotated[Path, typer.Argument(metavar="TRUTH", help="The same; files of one name are one case.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FOLDER", help="Folder for cases.csv, nodes.csv, summary.json and summary.md. "
            "[default: print the tables alone]"
        ),
    ] = None,
    resample: Annotated[
        bool,
        typer.Option(
            "--resample", help="Bring predictions on another grid onto the truth's (nearest neighbour). [default: such "
            "cases are refused]"
        ),
    ] = False,
    tolerance: Annotated[
        float, typer.Option("--tolerance", metavar="MM", help="Distance up to which surfaces agree, of the NSD.")
    ] = 1.0,
    overlap: Annotated[
        float,
        typer.Option(
            "--overlap", metavar="SHARE", show_default=False, help="Share of a lymph node, 0 to 1, that must be "
            "covered for it to count as found. [default: one voxel]"
        ),
    ] = 0.0,
    label: Annotated[
        int | None, typer.Option("--label", metavar="N", help="Value that is lymph node. [default: as --label-values]")
    ] = None,
    values: Values = "", grid: Grid = "certain",
    ignore: Annotated[
        int | None,
        typer.Option(
            "--ignore", metavar="N", help="Value of the truth that is left out. [default: as the truth's dataset.json "
            "says]"
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files in FOLDER that no earlier evaluation wrote.")
    ] = False,
    channel: Annotated[
        int | None,
        typer.Option(
            "--channel", "--structure", parser=_channel, metavar="N|NAME", help="Structure to take of files that hold "
            "several: a number from 0, or GTVp or GTVnd of SegRap2023."
        ),
    ] = None,
) -> None:
    """Evaluate, see `_HELP`."""
    from lnsegfm.evaluation.evaluation_report import failures, is_report, markdown, report_files, summary, write_report
    from lnsegfm.evaluation.label_pairs import find_ignore_label, find_pairs
    from lnsegfm.evaluation.scoring import Settings
    from lnsegfm.evaluation.scoring import evaluate as score

    pairs = find_pairs(pred, truth)
    settings = Settings(
        tolerance_mm=tolerance, overlap=overlap, label=label,
        ignore=ignore if ignore is not None else find_ignore_label(truth), channel=channel, resample=resample,
        values=values, placement=input_options(grid, values, False).placement,
    )
    if out is not None:
        inputs = [path for pair in pairs.matched.values() for path in pair]
        check_outputs(report_files(out), inputs, overwrite=overwrite, wrote=is_report)
    with ProgressLines(len(pairs.matched), "case") as lines:
        evaluation = score(pairs, settings, progress=lambda done, name: lines.update(done, "Comparing", name))
    if terminal.as_json:
        print_json(summary(evaluation))
    else:
        print(markdown(evaluation), end="", flush=True)
    if out is not None:
        write_report(evaluation, out)
        say(f"\nWrote {out}")
    left_out = failures(evaluation)
    if left_out:
        raise UserError("Some cases are not among the scores.", " ".join(left_out))
