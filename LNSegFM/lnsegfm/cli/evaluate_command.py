"""``lnsegfm evaluate``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tqdm import tqdm

from lnsegfm.base.errors import UserError
from lnsegfm.base.files import check_writable
from lnsegfm.evaluation.evaluation_report import failures, markdown, write_report
from lnsegfm.evaluation.label_pairs import SEGRAP_CHANNELS, find_ignore_label, find_pairs
from lnsegfm.evaluation.scoring import Settings, evaluate


def add_to(commands: Any) -> None:
    """Add the command's parser."""
    parser = commands.add_parser("evaluate", help="score predicted labels against the truth")
    parser.add_argument("pred", metavar="PRED", type=Path, help="label file, or folder of label files")
    parser.add_argument("truth", metavar="TRUTH", type=Path, help="the same; files of one name are one case")
    parser.add_argument("--out", type=Path, help="folder for cases.csv, nodes.csv, summary.json and summary.md")
    parser.add_argument("--resample", action="store_true", help="bring predictions onto the truth's grid (nearest)")
    parser.add_argument("--tolerance", type=float, default=1.0, metavar="MM", help="of the NSD, mm (default 1)")
    parser.add_argument(
        "--overlap", type=float, default=0.0, metavar="SHARE", help="of a node that must be covered (default: a voxel)"
    )
    parser.add_argument("--label", type=int, metavar="N", help="value of the lymph nodes (default: all but 0)")
    parser.add_argument(
        "--ignore", type=int, metavar="N", help="value of the truth to leave out (default: as the truth's dataset.json)"
    )
    parser.add_argument(
        "--channel", "--structure", type=_channel, metavar="N|NAME",
        help="structure to take of 4D and vector files: a number from 0, or SegRap2023's GTVp or GTVnd",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Evaluate, print the tables, write the files.

    Raises:
        UserError: Something makes no sense, or some cases are not among the scores; those are written all the same.
    """
    pairs = find_pairs(options.pred, options.truth)
    settings = Settings(
        tolerance_mm=options.tolerance,
        overlap=options.overlap,
        label=options.label,
        ignore=options.ignore if options.ignore is not None else find_ignore_label(options.truth),
        channel=options.channel,
        resample=options.resample,
    )
    if options.out is not None:
        check_writable(options.out / "summary.json")
    with tqdm(total=len(pairs.matched), unit="case", disable=None) as bar:

        def report(done: int, name: str) -> None:
            bar.set_description_str(name)
            bar.update(done - bar.n)

        evaluation = evaluate(pairs, settings, progress=report)
        bar.update(bar.total - bar.n)
    print(markdown(evaluation), end="")
    if options.out is not None:
        write_report(evaluation, options.out)
        print(f"\nWrote {options.out}")
    left_out = failures(evaluation)
    if left_out:
        raise UserError("Some cases are not among the scores.", " ".join(left_out))


def _channel(text: str) -> int:
    if text in SEGRAP_CHANNELS:
        return SEGRAP_CHANNELS[text]
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor one of {', '.join(SEGRAP_CHANNELS)}")
    return int(text)
