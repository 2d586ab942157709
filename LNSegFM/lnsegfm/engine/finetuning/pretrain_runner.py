"""The process of a pre-training: ``python -m lnsegfm.engine.finetuning.pretrain_runner FOLDER``.

With several GPUs torch's launcher starts one for each; the first prepares, reports and saves.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from lnsegfm.base import disk
from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.files import read_json, write_json
from lnsegfm.base.home import Home
from lnsegfm.cases.case_import import RawFolder
from lnsegfm.cases.case_info import IGNORE
from lnsegfm.engine.devices import choose_device
from lnsegfm.engine.finetuning.planning import Fingerprint, make_plans
from lnsegfm.engine.finetuning.trainer import Trainer
from lnsegfm.engine.finetuning.training_data import TrainingCase, preprocess
from lnsegfm.engine.finetuning.training_loop import train
from lnsegfm.engine.networks.checkpoints import save_checkpoint
from lnsegfm.engine.networks.network import build_network
from lnsegfm.engine.precision import device_words
from lnsegfm.jobs.job_writer import JobWriter
from lnsegfm.jobs.pretraining import CASES, CONFIGURATION, PLANS, PretrainSettings, read_settings
from lnsegfm.jobs.training_turn import training_turn
from lnsegfm.models.model_card import ModelCard, ModelInfo
from lnsegfm.models.model_store import ModelStore

CHECKPOINT = "checkpoint.pth"
PREPARED = "prepared"
_PACKAGES = ("torch", "nnunetv2", "numpy", "SimpleITK")
# DICOM's voxel order; cases are brought to it, so that the model does not depend on how they were stored.
ORIENTATION = "LPS"


def prepare(folder: Path, writer: JobWriter) -> None:
    """Plan and preprocess; what an earlier call has finished is not done again.

    Raises:
        UserError: A case cannot be used; the message names it.
        Cancelled: The user cancelled.
    """
    settings = read_settings(folder)
    raw = RawFolder.read(Path(settings.raw))
    cases = [TrainingCase(name, pair.image, pair.label, raw.ignore) for name, pair in raw.pairs.items()]
    settings.job([case.identifier for case in cases])

    def report(stage: str, number: int, name: str) -> None:
        if writer.cancelled():
            raise Cancelled
        writer.status(stage=stage, message=f"{number} of {len(cases)}")
        print(f"{stage}: {name}", flush=True)

    if not (folder / PLANS).is_file():
        prints = []
        for number, case in enumerate(cases, 1):
            report("Planning", number, case.identifier)
            prints.append(Fingerprint.of(*_read(case)))
        # nnU-Net's exports need a name of this form; the name of the user's folder is not stored.
        write_json(folder / PLANS, make_plans(prints, settings, "Dataset900_LymphNodes"))
    data, done = folder / CASES, iter(range(1, len(cases) + 1))
    disk.make_folder(data)
    notes = preprocess(
        cases, PlansManager(read_json(folder / PLANS)), CONFIGURATION, _dataset(raw, len(cases)), ORIENTATION, data,
        lambda name: report("Preparing cases", next(done), name),
    )
    for note in notes:
        print(note, flush=True)
    writer.status(notes=tuple(notes))


def _read(case: TrainingCase) -> tuple[Any, Any]:
    try:
        return case.read(ORIENTATION)
    except UserError as error:
        raise UserError(f"{case.identifier}: {error.what}", error.why, error.todo) from error


def _dataset(raw: RawFolder, count: int) -> dict[str, Any]:
    labels = {"background": 0, "lymph node": 1}
    if raw.ignore is not None:
        labels["ignore"] = IGNORE
    return {"channel_names": {"0": "CT"}, "labels": labels, "numTraining": count, "file_ending": ".nii.gz"}


def pretrain(folder: Path, writer: JobWriter | None, home: Home) -> ModelInfo | None:
    """Train from the last checkpoint to the end and store the model; return it on the first of several processes.

    Raises:
        UserError: The preparation is not finished, or the training diverged.
        Cancelled: The user cancelled.
    """
    settings = read_settings(folder)
    raw = RawFolder.read(Path(settings.raw))
    plans, dataset = read_json(folder / PLANS), _dataset(raw, len(raw.pairs))
    spec = settings.job(list(raw.pairs))
    device, reason = _device(settings)
    torch.manual_seed(settings.seed)
    with torch.device("cpu"):
        weights = build_network(plans, CONFIGURATION, dataset, deep_supervision=True).state_dict()
    trainer = Trainer.start(plans, CONFIGURATION, dataset, weights, spec, folder / CASES, device)
    if (folder / CHECKPOINT).is_file():
        trainer.restore(folder / CHECKPOINT)
    if writer is None:
        trainer.follow()
        return None
    words = device_words(device, reason, spec.precision)
    writer.status(stage="Training", device=words, iterations=spec.steps, message="")
    train(trainer, spec, writer, folder / CHECKPOINT)
    return _store(trainer, settings, plans, dataset, home)


def _device(settings: PretrainSettings) -> tuple[torch.device, str]:
    if torch.distributed.is_initialized() and torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
        return device, f"{settings.gpus} GPUs"
    return choose_device(settings.device)


def _store(
    trainer: Trainer, settings: PretrainSettings, plans: dict[str, Any], dataset: dict[str, Any], home: Home
) -> ModelInfo:
    described = {**dataset, "labels": {"background": 0, "lymph node": 1}}

    def fill(staging: Path) -> ModelCard:
        write_json(staging / "plans.json", plans)
        write_json(staging / "dataset.json", described)
        save_checkpoint(
            staging / "fold_all" / "checkpoint_final.pth", trainer.weights(), plans=plans,
            configuration=CONFIGURATION, dataset=described, fold="all", mirroring_axes=(0, 1, 2),
        )
        hidden = {"raw", "device", "gpus", "name"}
        lineage = {
            "method": "pre-training", "cases": dataset["numTraining"],
            **{name: value for name, value in asdict(settings).items() if name not in hidden},
            "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        }
        return ModelCard(
            name=settings.name, kind="foundation", architecture="PlainConvUNet", configuration=CONFIGURATION,
            folds=("all",), orientation=ORIENTATION, lineage=lineage,
        )

    return ModelStore(home.models).add(settings.name, fill)


def main(arguments: list[str]) -> int:
    """Carry the pre-training in the folder ``arguments[0]`` on to its end; return the exit status."""
    folder = Path(arguments[0]).absolute()
    # nnU-Net reads these when a trainer is made; this process is the pre-training's own.
    os.environ.update(nnUNet_preprocessed=str(folder), nnUNet_results=str(folder), nnUNet_n_proc_DA="0")
    try:
        if int(os.environ.get("RANK", "0")):
            _follow(folder)
        else:
            _lead(folder)
    except Cancelled:
        return 0
    except Exception:  # the writer has recorded the reason; the log gets the details
        traceback.print_exc()
        return 1
    return 0


def _lead(folder: Path) -> None:
    with JobWriter(folder) as writer, _turn(writer, folder):
        prepare(folder, writer)
        disk.mark(folder / PREPARED)
        with _together():
            model = pretrain(folder, writer, Home.default())
        assert model is not None
        disk.remove_file(folder / CHECKPOINT)
        writer.done(model.id)


def _turn(writer: JobWriter, folder: Path) -> contextlib.AbstractContextManager[None]:
    # The processes of several GPUs would wait for the first one no longer than torch lets them.
    if "RANK" in os.environ:
        return contextlib.nullcontext()
    return training_turn(writer, Home.default(), read_settings(folder).device)


def _follow(folder: Path) -> None:
    # The first process prepares, which can take hours: too long for torch's own ways of waiting.
    while not (folder / PREPARED).is_file():
        time.sleep(0.5)
    with _together():
        pretrain(folder, None, Home.default())


@contextlib.contextmanager
def _together() -> Iterator[None]:
    """Join the other processes that torch's launcher started, if it did."""
    if "RANK" not in os.environ:
        yield
        return
    torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
