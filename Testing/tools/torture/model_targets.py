"""The files of a model from a stranger: installed and used, or refused before anything of it is stored."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import made_scan
import torch

import tiny_models
from lnsegfm.base.errors import UserError
from lnsegfm.engine.inference.predictor import Predictor
from lnsegfm.engine.networks.model_install import install
from lnsegfm.models.model_store import ModelStore
from torture import mutations
from torture.targets import Target


def model_targets() -> Iterator[Target]:
    """Yield the kinds of files that a model consists of."""
    yield Target("plans.json", _model("plans.json"), _installed, mutations.json_damage)
    yield Target("dataset.json of a model", _model("dataset.json"), _installed, mutations.json_damage)
    yield Target("checkpoint", _model("fold_0/checkpoint_final.pth"), _installed, mutations.byte_damage)
    yield Target("zip of a model", _zip, _installed_zip, mutations.byte_damage)


def _model(name: str) -> Callable[[Path], Path]:
    return lambda folder: tiny_models.make_model(folder) / name


def _zip(folder: Path) -> Path:
    packed = tiny_models.zip_model(tiny_models.make_model(folder), folder / "model.zip")
    shutil.rmtree(folder / tiny_models.DATASET_NAME)
    return packed


def _installed(path: Path) -> object:
    return _use(next(parent for parent in path.parents if (parent / "fold_0").is_dir()))


def _installed_zip(path: Path) -> object:
    return _use(path)


def _use(source: Path) -> object:
    """Install a model and segment with it; what was refused must have left nothing.

    Raises:
        UserError: It was refused at once.
        AssertionError: It was refused, and something of it is there; or it was installed and cannot segment.
    """
    store = ModelStore(source.parent / "home" / "models")
    try:
        model = install(store, source).model
    except UserError:
        left = [path for path in store.root.rglob("*") if path.is_file() and path.suffix not in (".lock", ".used")]
        if left:
            raise AssertionError(f"a refused model left {left[0].name}") from None
        raise
    torch.set_num_threads(1)
    try:
        Predictor(model, torch.device("cpu")).segment(made_scan.image(made_scan.scan()[0]))
    except UserError as error:
        raise AssertionError(f"it was installed and cannot segment: {error}") from error
    return model.sha256
