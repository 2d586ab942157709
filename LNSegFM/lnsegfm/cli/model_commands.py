"""``lnsegfm models``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lnsegfm.cli.output.progress_lines import ProgressLines
from lnsegfm.cli.terminal import Command, examples, note, noun, open_session, print_result, print_table, say, warn
from lnsegfm.models.ancestry import parent_id
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.models.model_tree import dice_change
from lnsegfm.session.models_part import ExportedModel, InstalledModel, ModelsThere

app = noun(
    "Models: list, published, download, install, default, accept, reject, roll-back, rename, verify, export, remove.",
    "lnsegfm models list", "lnsegfm models install RESULTS_FOLDER --name 'Our model'",
    "lnsegfm models accept our-adapted-model",
)  # fmt: skip

_STOCK_INSTALL = "nnUNetv2_install_pretrained_model_from_zip"
ModelId = Annotated[str, typer.Argument(metavar="MODEL", help="Id of a model, or a beginning that only one has.")]
Name = Annotated[str, typer.Option("--name", help="Display name. [default: made from the source's name]")]


@app.command("list", cls=Command, epilog=examples("lnsegfm models list", "lnsegfm models list --json"))
def list_models() -> None:
    """List the installed models, oldest first.

    JSON: a list of objects with id, name, kind (foundation, adapted, demonstration), architecture, configuration,
    folds, parent (id or null), default (true for the one to begin with), rejected, stock (whether stock nnU-Net loads
    it), created (UTC), sha256, dice_before and dice_after (mean over the hold-out cases, or null), state (sound,
    damaged) and reason (why it cannot be read, or null). Of a damaged model only id, default, state and reason are
    known; the others are null. It can be removed.
    """
    with open_session() as session:
        session.models.install_bundled()
        there = session.models.look()
        rows = [_row(there, model) for model in there.models]
        rows += [{**dict.fromkeys(_KEYS), "id": each.id, "default": each.id == there.accepted, "rejected": None,
                  "state": "damaged", "reason": each.why} for each in there.damaged]  # fmt: skip
    shown = [
        {**row, "state": _state(row), "from": row["parent"] or row["architecture"],
         "name": row["reason"] or row["name"]}
        for row in rows
    ]
    columns = {"id": "ID", "kind": "KIND", "state": "STATE", "from": "PARENT/NETWORK", "name": "NAME"}
    _print_rows(rows, shown, columns, "No model is installed. Type: lnsegfm models install SOURCE")
    if there.problem is not None:
        warn(str(there.problem))


_KEYS = (
    "id", "name", "kind", "architecture", "configuration", "folds", "parent", "default", "rejected", "stock", "created",
    "sha256", "dice_before", "dice_after", "state", "reason",
)


def _row(there: ModelsThere, model: ModelInfo) -> dict[str, Any]:
    card, change = model.card, dice_change(model)
    parent = parent_id(there.models, card, model.id)
    return {
        "id": model.id, "name": model.name, "kind": card.kind, "architecture": card.architecture,
        "configuration": card.configuration, "folds": list(card.folds), "parent": parent or None,
        "default": model.id == there.default, "rejected": model.id in there.rejected, "stock": card.stock,
        "created": model.created, "sha256": model.sha256, "dice_before": change[0] if change else None,
        "dice_after": change[1] if change else None, "state": "sound", "reason": None,
    }  # fmt: skip


def _state(row: dict[str, Any]) -> str:
    if row["state"] == "damaged":
        return "damaged"
    return "default" if row["default"] else "rejected" if row["rejected"] else ""


def _print_rows(
    rows: list[dict[str, Any]], shown: list[dict[str, Any]], columns: dict[str, str], empty: str
) -> None:
    from lnsegfm.cli.terminal import terminal

    print_table(rows if terminal.as_json else shown, columns, empty=empty)


@app.command("published", cls=Command, epilog=examples("lnsegfm models published"))
def published() -> None:
    """List the models that one can get.

    JSON: a list of objects with id, name, kind, architecture, dice (mean on the authors' test cases, or null), page
    (address, or null for the bundled one) and supported (whether this version can install it).
    """
    with open_session() as session:
        rows = [
            {"id": each.id, "name": each.name, "kind": each.kind, "architecture": each.architecture,
             "dice": each.dice, "page": each.page or None, "supported": each.supported}
            for each in session.models.published()
        ]  # fmt: skip
    columns = {"id": "ID", "architecture": "NETWORK", "dice": "DICE", "supported": "SUPPORTED", "page": "PAGE"}
    print_table(rows, columns, empty="None.")


@app.command("download", cls=Command, epilog=examples("lnsegfm models download ln-seg-fm-nnunet"))
def download(
    published_id: Annotated[str, typer.Argument(metavar="PUBLISHED", help="Id that 'models published' lists.")],
    trust_changed: Annotated[
        bool, typer.Option(
            "--trust-changed", help="Install it although a file differs from the one downloaded the first time."
        ),
    ] = False,
) -> None:
    """Download a published model, or what is missing of it, and install it."""
    with open_session() as session, ProgressLines() as lines:
        model = session.models.download(published_id, trust_changed=trust_changed, progress=lines.report)
    _print_installed(model)


@app.command(
    "install", cls=Command,
    epilog=examples("lnsegfm models install nnUNet_results/Dataset501_Ours/nnUNetTrainer__nnUNetPlans__3d_fullres",
                    "lnsegfm models install model.zip --name 'Our model' --orientation RAS"),
)  # fmt: skip
def install(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="nnU-Net v2 results folder, a zip of it, or a checkpoint .pth.")
    ],
    name: Name = "",
    orientation: Annotated[
        str, typer.Option(
            "--orientation", metavar="LPS|RAS|...",
            help="Voxel order of the images it was trained on. [default: RAS for nnU-Net's readers that reorient, "
            "else LPS]",
        ),
    ] = "",
) -> None:
    """Install a model from this disk.

    The ensemble is nnU-Net's own choice: all numbered folds that are finished (with checkpoint_final.pth), or fold_all
    where there is none. What is left out is named.

    JSON: an object with model (id), name, sha256, is_new, folds, labels (value by name), spacing_mm and patch_size (x,
    y, z in the model's voxel order), and left_out (list of texts).
    """
    with open_session() as session, ProgressLines() as lines:
        model = session.models.install(source, name=name, orientation=orientation, progress=lines.report)
    _print_installed(model)


def _print_installed(found: InstalledModel) -> None:
    model = found.model
    if found.note:
        note(found.note)
    text = f"Installed '{model.name}' as {model.id} ({model.card.architecture}, SHA-256 {model.sha256})"
    if not found.is_new:
        text = f"The same model (SHA-256 {model.sha256}) is installed already, as {model.id}: '{model.name}'"
    facts = found.facts
    lines = [text, facts.words, *(f"Left out: {each}." for each in found.left_out)]
    print_result(
        {"model": model.id, "name": model.name, "sha256": model.sha256, "is_new": found.is_new,
         "folds": list(facts.folds), "labels": facts.labels, "spacing_mm": list(facts.spacing),
         "patch_size": list(facts.patch), "left_out": list(found.left_out)},
        "\n".join(lines),
    )  # fmt: skip


@app.command("default", cls=Command, epilog=examples("lnsegfm models default", "lnsegfm models default our-model"))
def default(
    model: Annotated[
        str, typer.Argument(metavar="[MODEL]", help="Id of the model to begin with. [default: tell which one it is]")
    ] = "",
) -> None:
    """Tell or choose the model that is used where none is named."""
    with open_session() as session:
        chosen = session.models.set_default(model) if model else session.models.chosen()
    text = f"The default model is '{chosen.id}'."
    print_result({"model": chosen.id}, text)


@app.command("accept", cls=Command, epilog=examples("lnsegfm models accept our-adapted-model"))
def accept(model: ModelId) -> None:
    """Accept an adapted model: from now on it is the default."""
    with open_session() as session:
        accepted = session.models.accept(model)
    print_result({"model": accepted.id}, f"Accepted {accepted.id}; it is the default model now.")


@app.command("reject", cls=Command, epilog=examples("lnsegfm models reject our-adapted-model"))
def reject(model: ModelId) -> None:
    """Keep a model aside: it stays installed, but is never the default."""
    with open_session() as session:
        rejected, now = session.models.reject(model), session.models.default
    follows = f"; the default model is '{now.id}'" if now else ""
    print_result({"model": rejected.id, "default": now.id if now else None}, f"Rejected {rejected.id}{follows}.")


@app.command(
    "roll-back", cls=Command,
    epilog=examples("lnsegfm models roll-back", "lnsegfm models roll-back our-model-3 --to our-model-1"),
)
def roll_back(
    model: Annotated[
        str, typer.Argument(metavar="[MODEL]", help="Id of the model to go back from. [default: the default model]")
    ] = "",
    to: Annotated[str, typer.Option("--to", metavar="ANCESTOR", help="An ancestor. [default: its parent]")] = "",
) -> None:
    """Make a model that another one was adapted from the default again."""
    with open_session() as session:
        now = session.models.roll_back(model, to=to)
    print_result({"model": now.id}, f"The default model is '{now.id}' again.")


@app.command("rename", cls=Command, epilog=examples("lnsegfm models rename our-model 'Our model, 2026'"))
def rename(model: ModelId, name: Annotated[str, typer.Argument(metavar="NAME", help="New display name.")]) -> None:
    """Give a model another display name; its id stays."""
    with open_session() as session:
        renamed = session.models.rename(model, name)
    print_result({"model": renamed.id, "name": renamed.name}, f"{renamed.id} is now called '{renamed.name}'.")


@app.command("verify", cls=Command, epilog=examples("lnsegfm models verify our-model"))
def verify(model: ModelId) -> None:
    """Compare a model's files with the SHA-256 of when it was installed."""
    with open_session() as session:
        verified = session.models.verify(model)
    files = len(verified.files)
    print_result({"model": verified.id, "files": files}, f"{verified.id}: {files} files as installed")


@app.command("export", cls=Command, epilog=examples("lnsegfm models export our-model -o our-model.zip"))
def export(
    model: ModelId,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="ZIP", help="The zip to write.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
) -> None:
    """Write a model as a zip, for stock nnU-Net or another LN-Seg-FM.

    In stock nnU-Net the model has a plans name of its own, so that it replaces no other one. Installed by 'lnsegfm
    models install', it keeps its name, history and SHA-256.

    JSON: an object with model, path, stock (whether stock nnU-Net loads it), install_with (the tool), and for stock
    nnU-Net dataset, plans, configuration, folds, predict (the command line), file_ending (of its scans) and orientation
    (the voxel order in which it needs them; stock nnU-Net does not turn them), null where it cannot load the model.
    """
    with open_session() as session:
        written = session.models.export(model, output, overwrite=overwrite)
    tool = _STOCK_INSTALL if written.stock else "lnsegfm models install"
    result = {"model": written.model.id, "path": str(written.path), "stock": written.stock, "install_with": tool}
    card, name = written.model.card, written.name
    stock: dict[str, Any] = {
        "dataset": name.dataset, "plans": name.plans, "configuration": name.configuration, "folds": list(name.folds),
        "predict": name.predict_line(), "file_ending": written.file_ending, "orientation": card.orientation,
    }
    print_result({**result, **(stock if written.stock else dict.fromkeys(stock))}, _text_of_export(written, tool))


def _text_of_export(written: ExportedModel, tool: str) -> str:
    text = f"Wrote {written.path}; install it with: {tool} {written.path}"
    if not written.stock:
        return f"{text}\nStock nnU-Net cannot load it, because it has adapters."
    return (
        f"{text}\nThen segment with:\n  {written.name.predict_line()}\n"
        f"INPUT holds the scans as NAME_0000{written.file_ending}. Stock nnU-Net does not turn them: they must have "
        f"the voxel order {written.model.card.orientation}."
    )


@app.command("remove", cls=Command, epilog=examples("lnsegfm models remove our-model"))
def remove(model: ModelId) -> None:
    """Delete a model, also a damaged one; models that were adapted from it stay usable. Its id is not given again."""
    with open_session() as session:
        whole = session.models.resolve(model)
        heirs = [heir.id for heir in session.models.remove(whole)]
    print_result({"model": whole, "adapted_from_it": heirs}, f"Removed {whole}")
    if heirs:
        say(f"Models adapted from it stay usable: {', '.join(heirs)}")
