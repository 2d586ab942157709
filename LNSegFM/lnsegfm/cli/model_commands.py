"""``lnsegfm models``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lnsegfm.base.errors import UserError
from lnsegfm.base.home import Home
from lnsegfm.jobs.job_store import JobStore
from lnsegfm.jobs.removal import refuse_while_used
from lnsegfm.models.catalogue import install_bundled, published_models
from lnsegfm.models.model_store import ModelStore


def add_to(commands: Any) -> None:
    """Add the command's parser."""
    models = commands.add_parser("models", help="list, install, verify, export and remove models")
    actions = models.add_subparsers(metavar="ACTION", required=True)
    actions.add_parser("list", help="installed models").set_defaults(run=_list)
    actions.add_parser("published", help="models one can get").set_defaults(run=_published)
    install = actions.add_parser("install", help="results folder, zip of it, or checkpoint .pth")
    install.add_argument("source", type=Path)
    install.add_argument("--name", default="", help="display name")
    install.add_argument(
        "--orientation", default="", metavar="LPS|RAS|...",
        help="voxel order of the images it was trained on (default: RAS for nnU-Net's readers that reorient, else LPS)",
    )
    install.set_defaults(run=_install)
    for name, action, text in (
        ("verify", _verify, "compare a model's files with their SHA-256"),
        ("remove", _remove, "delete a model"),
        ("export", _export, "write a zip for stock nnU-Net"),
    ):
        parser = actions.add_parser(name, help=text)
        parser.add_argument("model", help="model id")
        parser.set_defaults(run=action)
        if name == "export":
            parser.add_argument("-o", "--output", type=Path, required=True)


def _store() -> ModelStore:
    store = ModelStore(Home.default().models)
    install_bundled(store)
    return store


def refuse_rejected(store: ModelStore, model_id: str, agreed: bool) -> None:
    """Refuse to use a model that was rejected, unless the user has agreed.

    Raises:
        UserError: It was rejected, and he has not.
    """
    if store.is_rejected(model_id) and not agreed:
        raise UserError(
            f"The model '{model_id}' was rejected after its evaluation.", "",
            "Choose another one, or add --rejected to use it all the same.",
        )


def _list(options: argparse.Namespace) -> None:
    del options
    store = _store()
    default = store.default_id
    for model in store.list():
        mark = " (rejected)" if store.is_rejected(model.id) else " (default)" if model.id == default else ""
        origin = f"from {model.card.parent}" if model.card.parent else model.card.architecture
        print(f"{model.id:32s}  {model.card.kind:13s}  {origin:28s}  {model.name}{mark}")


def _published(options: argparse.Namespace) -> None:
    del options
    for entry in published_models():
        dice = f"Dice {entry['internal_dice']:.4f}" if entry["internal_dice"] is not None else "Dice not published"
        source = entry.get("download", "bundled")
        support = "" if entry["supported"] else "  (cannot be installed by this version)"
        print(f"{entry['name']:28s}  {entry['architecture']:20s}  {dice:18s}  {source}{support}")


def _install(options: argparse.Namespace) -> None:
    from lnsegfm.engine.networks.model_install import install

    found = install(_store(), options.source, name=options.name, orientation=options.orientation)
    model = found.model
    if found.note:
        print(found.note)
    if not found.is_new:
        print(f"The same model (SHA-256 {model.sha256}) is installed already, as {model.id}: '{model.name}'")
        return
    print(f"Installed '{model.name}' as {model.id} ({model.card.architecture}, SHA-256 {model.sha256})")


def _verify(options: argparse.Namespace) -> None:
    model = _store().verify(options.model)
    print(f"{model.id}: {len(model.files)} files as installed")


def _remove(options: argparse.Namespace) -> None:
    store = _store()
    refuse_while_used(f"model '{options.model}'", JobStore(Home.default().jobs).users_of(model=options.model))
    children = store.descendants(options.model)
    store.remove(options.model)
    print(f"Removed {options.model}")
    if children:
        print("Models adapted from it stay usable: " + ", ".join(child.id for child in children))


def _export(options: argparse.Namespace) -> None:
    store = _store()
    store.export(options.model, options.output)
    stock = store.get(options.model).card.stock
    tool = "nnUNetv2_install_pretrained_model_from_zip" if stock else "lnsegfm models install"
    note = "" if stock else "; stock nnU-Net cannot load it, because it has adapters"
    print(f"Wrote {options.output}; install it with {tool}{note}")
