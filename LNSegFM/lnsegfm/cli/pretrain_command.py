"""``lnsegfm pretrain``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lnsegfm.base.home import Home
from lnsegfm.cli.following import CANCELLED, follow
from lnsegfm.cli.options_of_fields import Choice, with_parameters
from lnsegfm.cli.terminal import Command, examples, print_result, warn
from lnsegfm.jobs.pretraining import Pretraining, PretrainSettings, claim_folder

_TEXTS = {
    "name": "Display name of the model.",
    "patch": "Voxels of a patch along z, y and x; made divisible by the network's poolings.",
    "batch_size": "Patches of an iteration, over all GPUs together.",
    "learning_rate": "Learning rate of the first epoch.",
    "poly_exponent": "Exponent of the polynomial decay of the learning rate.",
    "momentum": "Nesterov momentum of SGD.",
    "weight_decay": "L2 penalty.",
    "epochs": "Number of epochs.",
    "iterations_per_epoch": "Iterations (batches) of an epoch.",
    "spacing": "Voxel size in mm along z, y and x.",
    "base_features": "Channels of the first stage; each following stage has twice as many, 320 at most.",
    "holdout": "Number of cases, the last by name, that are left out of the training and give the pseudo-Dice.",
    "seed": "Seed of everything that is random.",
    "device": "auto, cpu, mps, cuda or cuda:N; ignored with several GPUs.",
    "gpus": "Number of GPUs of this computer that share each batch.",
}
_AUTOMATIC = {"spacing": "nnU-Net's choice, the median of the cases"}
_TRIPLES: dict[str, Any] = {"patch": tuple[int, int, int], "spacing": tuple[float, float, float]}
_HELP = """Train a foundation model from scratch; the same command again continues.

    This is Eq. 1 of the paper. The values of the options are those of the paper unless others are given. All of them
    but --device and --gpus stay as they were when the folder was begun. Ctrl-C stops at the next iteration and keeps
    the checkpoint.

    JSON: an object with job, state, model (id of the new model) and holdout; with --detach folder and state.
    """
_EXAMPLES = examples(
    "lnsegfm pretrain data/Dataset503_RADCURE --out work",
    "lnsegfm pretrain data/Dataset503_RADCURE --out work --gpus 4",
    "lnsegfm pretrain data/Dataset503_RADCURE --out work --patch 64 96 96 --epochs 500 --detach",
)


def register(app: typer.Typer) -> None:
    """Register the command."""
    app.command("pretrain", cls=Command, help=_HELP, epilog=_EXAMPLES)(pretrain)


def _parameters() -> dict[str, tuple[Any, Any]]:
    raw = typer.Argument(metavar="RAW", help="Folder in nnU-Net's raw layout, as 'lnsegfm import' writes it.")
    out = typer.Option("--out", "-o", metavar="FOLDER", help="Folder to work in; needs room for all cases.")
    settings = {
        name: Choice(
            text, getattr(PretrainSettings, name), kind=_TRIPLES.get(name), automatic=_AUTOMATIC.get(name, ""),
            metavar="Z Y X" if name in _TRIPLES else None,
        ).parameter(name)
        for name, text in _TEXTS.items()
    }
    detach = typer.Option("--detach", help="Do not wait for the training; it works in the background.")
    return {
        "raw": (Annotated[Path, raw], ...), "out": (Annotated[Path, out], ...), **settings,
        "detach": (Annotated[bool, detach], False),
    }


@with_parameters(_parameters())
def pretrain(raw: Path, out: Path, detach: bool, **values: Any) -> None:
    """Train, see `_HELP`."""
    claim_folder(out, PretrainSettings(raw=str(raw.absolute()), **values))
    work = Pretraining(out, Home.default())
    if not work.status().active and work.status().state != "done":
        work.start()
    if detach:
        print_result(
            {"folder": str(out), "state": work.status().state},
            f"The training works in the background, in {out}; the same command without --detach shows how far it is.",
        )
        return
    try:
        follow(work)
    except KeyboardInterrupt:
        work.cancel()
        warn("The training stops at the next iteration and keeps its checkpoint; the same command continues.")
        raise typer.Exit(CANCELLED) from None
