"""Which folds of a results folder become the ensemble, and that the rest is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from lnsegfm.base.errors import UserError
from lnsegfm.base.home import Home
from lnsegfm.cli import main
from lnsegfm.engine.networks.fold_choice import choose_folds
from lnsegfm.engine.networks.model_install import install
from lnsegfm.models.model_facts import ModelFacts
from lnsegfm.models.model_store import ModelStore
from lnsegfm.session import Session
from tiny_models import CONFIGURATION, make_model, tiny_plans, zip_model


def results(folder: Path, **checkpoints: str) -> Path:
    """A results folder with these fold folders and, in each, empty files of these names."""
    for fold, files in checkpoints.items():
        (folder / fold).mkdir(parents=True)
        for name in files.split():
            (folder / fold / f"checkpoint_{name}.pth").touch()
    return folder


@pytest.mark.parametrize(
    ("checkpoints", "folds", "left_out"),
    [
        ({"fold_0": "final", "fold_1": "final"}, ["0", "1"], []),
        ({"fold_10": "final", "fold_2": "final"}, ["2", "10"], []),
        ({"fold_0": "final", "fold_1": "best latest"}, ["0"], ["fold_1: it is not finished"]),
        ({"fold_0": "final", "fold_1": ""}, ["0"], ["fold_1: it has no checkpoint"]),
        ({"fold_0": "final", "fold_all": "final"}, ["0"], ["fold_all: nnU-Net does not combine it"]),
        ({"fold_0": "best", "fold_all": "final"}, ["all"], ["fold_0: it is not finished"]),
        ({"fold_all": "final best"}, ["all"], ["checkpoint_best.pth of fold_all"]),
        ({"fold_0": "final best", "fold_1": "final best"}, ["0", "1"], ["checkpoint_best.pth of fold_0, fold_1"]),
        ({"fold_0": "best", "fold_1": "latest"}, ["0"], ["checkpoint_final.pth: no fold has one", "fold_1: "]),
        ({"fold_00": "final", "fold_0": "final"}, ["0"], ["fold_00: it is not a fold's folder"]),
    ],
)
def test_the_ensemble_is_nnunets_choice_and_the_rest_is_named(
    tmp_path: Path, checkpoints: dict[str, str], folds: list[str], left_out: list[str]
) -> None:
    choice = choose_folds(results(tmp_path, **checkpoints))
    assert list(choice.checkpoints) == folds
    assert len(choice.left_out) == len(left_out)
    assert all(said.startswith(expected) for said, expected in zip(choice.left_out, left_out))


@pytest.mark.parametrize("names", [{"fold_0": "final", "fold_3": "final", "fold_1": "best", "fold_all": "final"}])
def test_it_is_what_stock_nnunet_detects(tmp_path: Path, names: dict[str, str]) -> None:
    module = pytest.importorskip("nnunetv2.inference.predict_from_raw_data", reason="it imports torchvision")
    folder = results(tmp_path, **names)
    theirs = module.nnUNetPredictor.auto_detect_available_folds(str(folder), "checkpoint_final.pth")
    assert sorted(theirs) == [int(fold) for fold in choose_folds(folder).checkpoints]


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Folds 0 and 2 finished, 1 not, and fold_all beside them; another configuration without a checkpoint."""
    folder = make_model(tmp_path / "results", folds=(0, 1, 2, "all"))
    (folder / "fold_1" / "checkpoint_final.pth").rename(folder / "fold_1" / "checkpoint_best.pth")
    other = folder.parent / "nnUNetTrainer__nnUNetPlans__2d"
    (other / "fold_0").mkdir(parents=True)
    shutil.copy(folder / "plans.json", other)
    (folder / "crossval_results_folds_0_1_2_3_4").mkdir()
    (folder / "crossval_results_folds_0_1_2_3_4" / "postprocessing.pkl").write_bytes(b"not looked at")
    return folder


@pytest.mark.parametrize("as_zip", [False, True])
def test_an_unfinished_fold_does_not_join_the_ensemble(tmp_path: Path, mixed: Path, as_zip: bool) -> None:
    source = zip_model(mixed, tmp_path / "model.zip") if as_zip else mixed.parent
    found = install(ModelStore(tmp_path / "models"), source)
    assert found.model.card.folds == ("0", "2")
    text = "\n".join(found.left_out)
    assert "fold_1: it is not finished" in text and "fold_all: " in text and "postprocessing.pkl" in text
    assert as_zip or "nnUNetTrainer__nnUNetPlans__2d: it has no checkpoint" in text


def test_a_chosen_checkpoint_names_the_folds_beside_it(tmp_path: Path, mixed: Path) -> None:
    found = install(ModelStore(tmp_path / "models"), mixed / "fold_2" / "checkpoint_final.pth")
    assert found.model.card.folds == ("2",)
    assert found.left_out == ("fold_0: only the file checkpoint_final.pth of fold 2 was chosen",)


def test_an_exported_model_keeps_the_folds_it_had(tmp_path: Path) -> None:
    store, other = ModelStore(tmp_path / "models"), ModelStore(tmp_path / "other")
    source = install(store, make_model(tmp_path / "results")).model
    whole = install(other, make_model(tmp_path / "whole", folds=("all",), seed=1)).model
    # As earlier versions installed fold 0 beside fold_all.
    shutil.copytree(whole.path / "fold_all", source.path / "fold_all")
    card = json.loads((source.path / "model.json").read_text())
    name = "fold_all/checkpoint_final.pth"
    card.update(folds=["0", "all"], files={**card["files"], name: whole.files[name]})
    (source.path / "model.json").write_text(json.dumps(card))
    store.export(source.id, tmp_path / "exported.zip")
    found = install(other, tmp_path / "exported.zip")
    assert (found.model.card.folds, found.note, found.left_out) == (("0", "all"), "", ())


def test_the_facts_are_in_the_order_of_the_image_axes(tmp_path: Path) -> None:
    plans = tiny_plans()
    plans.update(transpose_forward=[2, 0, 1], transpose_backward=[1, 2, 0])  # x, z, y
    plans["configurations"][CONFIGURATION].update(spacing=[0.9, 3.0, 1.1], patch_size=[16, 32, 48])
    facts = ModelFacts.of(install(ModelStore(tmp_path / "models"), make_model(tmp_path / "results", plans=plans)).model)
    assert facts.spacing == (0.9, 1.1, 3.0)
    assert facts.patch == (16, 48, 32)


def test_what_is_inherited_counts(tmp_path: Path) -> None:
    plans = tiny_plans()
    configurations = plans["configurations"]
    configurations["base"] = configurations[CONFIGURATION]
    configurations[CONFIGURATION] = {"inherits_from": "base", "spacing": [5.0, 1.0, 1.0]}
    facts = ModelFacts.of(install(ModelStore(tmp_path / "models"), make_model(tmp_path / "results", plans=plans)).model)
    assert (facts.spacing, facts.patch) == ((1.0, 1.0, 5.0), (16, 16, 16))


def test_a_model_whose_plans_are_gone_says_so(tmp_path: Path) -> None:
    model = install(ModelStore(tmp_path / "models"), make_model(tmp_path / "results")).model
    (model.path / "plans.json").unlink()
    with pytest.raises(UserError, match="is damaged"):
        ModelFacts.of(model)


def test_the_command_line_and_the_session_say_it(
    own_home: Home, mixed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "install", str(mixed), "--name", "Ours"]) == 0
    said = capsys.readouterr().out
    assert "Ensemble of the folds 0, 2; labels background (0), lymph node (1); voxels of 2 x 2 x 3 mm; " in said
    assert "patch of 16 x 16 x 16 voxels." in said
    assert "Left out: fold_1: it is not finished (it has checkpoint_best.pth, but no checkpoint_final.pth)." in said
    assert main(["--json", "models", "install", str(mixed)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["folds"], told["spacing_mm"], told["labels"]["lymph node"]) == (["0", "2"], [2.0, 2.0, 3.0], 1)
    assert any(text.startswith("fold_all: ") for text in told["left_out"])
    assert Session().models.facts("ours").folds == ("0", "2")


def test_fold_weights_are_those_of_the_finished_folds(tmp_path: Path, mixed: Path) -> None:
    model = install(ModelStore(tmp_path / "models"), mixed).model
    for fold in ("0", "2"):
        ours = torch.load(model.checkpoint(fold), weights_only=True)["network_weights"]
        theirs = torch.load(mixed / f"fold_{fold}" / "checkpoint_final.pth", weights_only=False)["network_weights"]
        assert all(torch.equal(ours[name], value) for name, value in theirs.items())
