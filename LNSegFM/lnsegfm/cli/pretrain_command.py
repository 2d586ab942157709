"""``lnsegfm pretrain``."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any

from lnsegfm.base.home import Home
from lnsegfm.cli.following import follow
from lnsegfm.jobs.pretraining import Pretraining, PretrainSettings, claim_folder


def add_to(commands: Any) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "pretrain", help="train a foundation model (Eq. 1 of the paper); the same command again continues"
    )
    parser.add_argument("raw", type=Path, help="folder in nnU-Net's raw layout, as 'lnsegfm import' writes it")
    parser.add_argument("--out", type=Path, required=True, help="folder to work in; needs room for all cases")
    for entry in fields(PretrainSettings):
        if entry.name == "raw":
            continue
        triple = {"patch": int, "spacing": float}.get(entry.name)
        options: dict[str, Any] = {"type": triple, "nargs": 3} if triple else {"type": type(entry.default)}
        parser.add_argument(
            f"--{entry.name.replace('_', '-')}", default=entry.default, help=f"default: {entry.default}", **options
        )
    parser.add_argument("--detach", action="store_true", help="do not wait for it")
    parser.set_defaults(run=_pretrain)


def _pretrain(options: argparse.Namespace) -> None:
    values = {entry.name: getattr(options, entry.name) for entry in fields(PretrainSettings)}
    triples = {name: tuple(values[name]) for name in ("patch", "spacing") if values[name] is not None}
    settings = PretrainSettings(**{**values, **triples, "raw": str(options.raw.absolute())})
    claim_folder(options.out, settings)
    work = Pretraining(options.out, Home.default())
    if not work.status().active and work.status().state != "done":
        work.start()
    if not options.detach:
        try:
            follow(work)
        except KeyboardInterrupt:
            work.cancel()
            print("It stops at the next iteration and keeps its checkpoint; the same command continues.")
            raise
