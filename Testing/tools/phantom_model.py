"""Train the bundled demonstration model on source phantoms: ``make phantom-model``.

It is a pre-training as ``lnsegfm pretrain`` does it, with a network small enough for two CPU cores.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

import SimpleITK as sitk

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "LNSegFM"), str(REPOSITORY / "LNSegFMFineTune")]

from lnsegfm.base.files import read_json, sha256, write_json  # noqa: E402
from lnsegfm.base.home import Home  # noqa: E402
from lnsegfm.cli.following import follow  # noqa: E402
from lnsegfm.jobs.pretraining import Pretraining, PretrainSettings, claim_folder  # noqa: E402
from lnsegfm.models.model_card import CARD, ModelInfo  # noqa: E402
from lnsegfm.models.model_store import ModelStore  # noqa: E402
from lnsegfm.phantom import make_case  # noqa: E402

CATALOGUE = REPOSITORY / "LNSegFM" / "Resources" / "Models.json"
CASES = 36
SETTINGS = PretrainSettings(
    raw="", name="Phantom (demonstration)", patch=(32, 48, 48), spacing=(3.0, 2.0, 2.0), base_features=8, epochs=60,
    iterations_per_epoch=50, holdout=4, seed=1, device="cpu",
)


def write_phantoms(folder: Path) -> None:
    """Write source phantoms in nnU-Net's raw layout."""
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    for seed in range(CASES):
        phantom = make_case("source", seed)
        sitk.WriteImage(phantom.ct, str(folder / "imagesTr" / f"phantom_{seed:04d}_0000.nrrd"))
        sitk.WriteImage(phantom.labels, str(folder / "labelsTr" / f"phantom_{seed:04d}.nrrd"))


def pack(model: ModelInfo, target: Path) -> None:
    """Write a model's folder as the zip that the extension installs."""
    card = read_json(model.path / CARD)
    write_json(model.path / CARD, {**card, "kind": "demonstration"})
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(model.path.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(model.path).as_posix())


def main() -> None:
    """Train, pack as the bundled zip, and write its SHA-256 into the catalogue."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=SETTINGS.epochs)
    parser.add_argument("--output", type=Path, default=REPOSITORY / "LNSegFM" / "Resources" / "PhantomModel.zip")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home, work = Home(Path(temporary) / "home"), Path(temporary) / "work"
        write_phantoms(Path(temporary) / "raw")
        claim_folder(work, replace(SETTINGS, raw=str(Path(temporary) / "raw"), epochs=options.epochs))
        training = Pretraining(work, home)
        os.environ["LNSEGFM_HOME"] = str(home.root)
        training.start()
        follow(training)
        pack(ModelStore(home.models).get(training.status().model_id), Path(temporary) / "PhantomModel.zip")
        shutil.copyfile(Path(temporary) / "PhantomModel.zip", options.output)
    print(f"{options.output.name}: {options.output.stat().st_size / 1e6:.2f} MB, SHA-256 {sha256(options.output)}")
    if options.output.parent == CATALOGUE.parent and CATALOGUE.is_file():
        catalogue = read_json(CATALOGUE)
        for entry in catalogue["models"]:
            if entry.get("bundled", {}).get("file") == options.output.name:
                entry["bundled"]["sha256"] = sha256(options.output)
        write_json(CATALOGUE, catalogue)


if __name__ == "__main__":
    main()
