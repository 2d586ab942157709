"""One adaptation from the base model to the adapted one: prepare, score, train, score again, store."""

from __future__ import annotations

import copy
import importlib.metadata
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import SimpleITK as sitk
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from lnsegfm import __version__
from lnsegfm.base import disk
from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.files import write_atomic, write_json
from lnsegfm.base.home import Home
from lnsegfm.cases.case_info import IGNORE
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.engine.devices import choose_device
from lnsegfm.engine.dgst.update_counts import count_updates
from lnsegfm.engine.finetuning.trainer import Trainer, Weights
from lnsegfm.engine.finetuning.training_data import TrainingCase, preprocess
from lnsegfm.engine.finetuning.training_loop import Share, train
from lnsegfm.engine.inference.predictor import Predictor
from lnsegfm.engine.networks.checkpoints import (
    load_checkpoint,
    network_weights,
    read_tensors,
    save_checkpoint,
    write_tensors,
)
from lnsegfm.engine.precision import device_words
from lnsegfm.evaluation.detection import count_nodes
from lnsegfm.evaluation.metrics import Scores, score_case
from lnsegfm.formats.image_files import write_image
from lnsegfm.jobs.job_results import RESULT, label_file, read_scores, reuse_scores
from lnsegfm.jobs.job_spec import CaseRef, JobSpec
from lnsegfm.jobs.job_store import DEVICE_VARIABLE, Job, JobStore
from lnsegfm.jobs.job_writer import JobWriter
from lnsegfm.jobs.method_names import METHODS
from lnsegfm.models.model_card import ModelCard, ModelInfo
from lnsegfm.models.model_content import ModelContent
from lnsegfm.models.model_names import adapted_name, unique_name
from lnsegfm.models.model_store import ModelStore

CHECKPOINT = "checkpoint.pth"
_TRAINED = "trained-"


def adapt(writer: JobWriter, folder: Path, home: Home) -> None:
    """Carry a job from wherever it stands to its end.

    Args:
        writer: The job's status; locked by this process.
        folder: The job folder.
        home: Where models and cases are.

    Raises:
        UserError: The base model or a case is gone or was changed, or memory does not suffice.
        Cancelled: The user cancelled; the checkpoint is kept.
    """
    Adaptation(writer, folder, home).run()


class Adaptation:
    """The steps of a job. Each can be interrupted; finished ones are not done again."""

    def __init__(self, writer: JobWriter, folder: Path, home: Home) -> None:
        self._writer, self._folder, self._home = writer, folder, home
        self._spec = Job(folder).spec
        self._cases = CaseStore(home.cases)
        self._models = ModelStore(home.models)

    def run(self) -> None:
        """Do what is left to do and finish the job."""
        finished = self._already_stored()
        if finished is None:
            # Who does many jobs decides late which device is free.
            self._device, reason = choose_device(os.environ.get(DEVICE_VARIABLE) or self._spec.device)
            words = device_words(self._device, reason, self._spec.precision)
            self._writer.status(device=words, iterations=self._spec.steps)
            self._base = self._verified_base()
            # Read once: a base model that is removed meanwhile must not cost a training that is nearly done.
            self._content = BaseContent.read(self._base, adapted_folds(self._base, self._spec))
            self._writer.status(iterations=self._spec.steps * len(self._content.weights))
            self._predictor = Predictor(self._base, self._device)
            if self._spec.compare_with == "fold":
                self._predictor.replace_weights(*self._content.weights.values())
            before = self._score("before", {})
            trained = self._trained(self._prepared())
            metrics = self._metrics(before, self._score("after", trained))
            finished = self._store(trained, metrics, self._counts(trained))
        for pattern in (f"{_stem(CHECKPOINT)}*", f"{_TRAINED}*"):
            for path in self._folder.glob(pattern):
                disk.remove_file(path)
        self._writer.done(finished.id, finished.card.metrics)

    def _verified_base(self) -> ModelInfo:
        self._stage("Checking the base model")
        base = self._models.verify(self._spec.base_model)
        if base.sha256 != self._spec.base_sha256:
            raise UserError(
                f"The base model '{base.name}' is not the one this job was made for.", "Its SHA-256 differs.",
                "Start a new job from the model that is installed now.",
            )
        return base

    def _already_stored(self) -> ModelInfo | None:
        """A job that was killed after its model was stored must not store it twice."""
        job = self._folder.name
        return next((model for model in self._models.list() if model.card.lineage.get("job") == job), None)

    def _stage(self, text: str, message: str = "") -> None:
        if self._writer.cancelled():
            raise Cancelled
        self._writer.status(stage=text, message=message, eta_s=None)

    def _files(self, case: CaseRef) -> TrainingCase:
        info = self._cases.get(case.id)
        ignore = IGNORE if info.is_partial(case.version) else None
        return TrainingCase(case.id, info.image_path, info.label_path(case.version), ignore)

    def _prepared(self) -> Path:
        """Preprocess the cases, which are the same for every fold; return their folder."""
        spec, base = self._spec, self._base
        self._stage("Preparing cases")
        plans, dataset = self._content.plans, self._dataset()
        data = self._folder / "work" / "cases"
        # What a killed process left may be of other label versions.
        disk.remove_tree(data.parent)
        disk.make_folder(data)
        notes = preprocess(
            [self._files(case) for case in (*spec.cases, *spec.holdout)],
            PlansManager(copy.deepcopy(plans)), base.card.configuration, dataset, base.card.orientation, data,
            lambda case: self._stage("Preparing cases", case),
        )
        for note in notes:
            print(note, flush=True)
        self._writer.status(notes=tuple(notes))
        return data

    def _trained(self, data: Path) -> dict[str, Weights]:
        """Train each fold that is to be adapted; one that a process before this one finished is read again."""
        weights: dict[str, Weights] = {}
        several = len(self._content.weights) > 1
        for number, fold in enumerate(self._content.weights):
            kept = self._folder / f"{_TRAINED}{fold}.pth"
            if kept.is_file():
                weights[fold] = read_tensors(kept)
                continue
            checkpoint = self._folder / (f"{_stem(CHECKPOINT)}-{fold}.pth" if several else CHECKPOINT)
            self._stage("Training", f"Fold {number + 1} of {len(self._content.weights)}" if several else "")
            trainer = self._trainer(fold, data, checkpoint)
            share = Share(number * self._spec.steps, len(self._content.weights) * self._spec.steps)
            train(trainer, self._spec, self._writer, checkpoint, share)
            weights[fold] = finite(trainer.weights())
            del trainer
            if several:
                write_atomic(kept, partial(write_tensors, weights[fold]))
                disk.remove_file(checkpoint)
        return weights

    def _trainer(self, fold: str, data: Path, checkpoint: Path) -> Trainer:
        trainer = Trainer.start(
            self._content.plans, self._base.card.configuration, self._dataset(), self._content.weights[fold],
            self._spec, data, self._device,
        )
        if checkpoint.is_file():
            trainer.restore(checkpoint)
        return trainer

    def _counts(self, trained: dict[str, Weights]) -> dict[str, int]:
        """How much changed, over all folds together."""
        counts = [count_updates(self._content.weights[fold], weights) for fold, weights in trained.items()]
        return {name: sum(each[name] for each in counts) for name in counts[0]}

    def _dataset(self) -> dict[str, Any]:
        """The base model's description of the labels; with the label for what was not reviewed, where there is one."""
        dataset = copy.deepcopy(self._content.dataset)
        if any(self._cases.get(case.id).is_partial(case.version) for case in self._spec.cases):
            dataset["labels"]["ignore"] = IGNORE
        return dataset

    def _store(self, trained: dict[str, Weights], metrics: dict[str, Any], counts: dict[str, int]) -> ModelInfo:
        self._stage("Storing the adapted model")
        spec, base, content = self._spec, self._base, self._content
        configuration = base.card.configuration
        models = self._models.list()
        today = datetime.now(timezone.utc).date().isoformat()
        name = unique_name(
            spec.name or adapted_name(base, models, METHODS[spec.method].name, len(spec.cases), today), models
        )
        folds = trained if len(trained) > 1 else dict.fromkeys(("all",), next(iter(trained.values())))

        def fill(staging: Path) -> ModelCard:
            write_json(staging / "plans.json", content.plans)
            write_json(staging / "dataset.json", content.dataset)
            for fold, weights in folds.items():
                save_checkpoint(
                    staging / f"fold_{fold}" / "checkpoint_final.pth", weights, plans=content.plans,
                    configuration=configuration, dataset=content.dataset, fold=fold,
                    mirroring_axes=content.mirroring_axes,
                )
            return ModelCard(
                name=name, kind="adapted", architecture=base.card.architecture,
                configuration=configuration, folds=tuple(folds), orientation=base.card.orientation,
                parent=base.id, parent_sha256=base.sha256, lineage={**self._lineage(), "parameters": counts},
                metrics=metrics, stock=METHODS[spec.method].stock,
            )

        return self._models.add(spec.name or f"{base.id}-{spec.method}", fill)

    def _lineage(self) -> dict[str, Any]:
        packages = ("torch", "nnunetv2", "numpy", "SimpleITK")
        return {
            "job": self._folder.name,
            **self._spec.to_json(),
            "folds": list(self._content.weights),
            "device": self._device.type,
            "packages": {
                "lnsegfm": __version__, "python": platform.python_version(),
                **{name: importlib.metadata.version(name) for name in packages},
            },
        }

    def _score(self, when: str, trained: dict[str, Weights]) -> dict[str, Scores]:
        """Segment the measured cases, keep labels and scores in ``result/``, and return the scores.

        Args:
            when: ``"before"`` or ``"after"``.
            trained: The trained weights by fold; none for the base model's own.
        """
        cases = self._spec.measured
        known = self._folder / RESULT / f"{when}.json"
        try:
            return read_scores(known)
        except FileNotFoundError:
            scores: dict[str, Scores] = {}
        except (OSError, ValueError) as error:
            raise UserError(
                "The scores that the job had kept cannot be read.", f"{RESULT}/{known.name}: {error}.",
                "Delete that file in the job's folder, then resume the job.",
            ) from error
        if not trained:
            scores = reuse_scores(JobStore(self._home.jobs), self._folder, self._spec)
        missing = [case for case in cases if case.id not in scores]
        if not missing:
            return self._kept(known, scores)
        if trained:
            self._predictor.replace_weights(*trained.values())
        for number, case in enumerate(missing, 1):
            self._stage(f"Scoring hold-out cases {when}", f"{number} of {len(missing)}")
            try:
                files = self._files(case)
            except UserError as error:
                if when == "before":
                    raise
                # A case that was removed during the training costs its figures, not the model.
                print(f"{case.id} is not scored: {error}", flush=True)
                continue
            labels = self._predictor.segment(sitk.ReadImage(str(files.image)), is_cancelled=self._writer.cancelled)
            write_image(labels, self._folder / RESULT / label_file(case.id, when))
            truth = sitk.ReadImage(str(files.label))
            scores[case.id] = {**score_case(labels, truth), **count_nodes(labels, truth)}
        return self._kept(known, scores)

    def _kept(self, path: Path, scores: dict[str, Scores]) -> dict[str, Scores]:
        if scores:
            write_json(path, scores)
        return scores

    def _metrics(self, before: dict[str, Scores], after: dict[str, Scores]) -> dict[str, Any]:
        """The comparison on the hold-out cases, and below ``reference`` that on the base model's own domain."""
        holdout, reference = ({case.id for case in part} for part in (self._spec.holdout, self._spec.reference))
        metrics = compare(before, {case: scores for case, scores in after.items() if case in holdout})
        forgotten = compare(before, {case: scores for case, scores in after.items() if case in reference})
        return {**metrics, "reference": forgotten} if forgotten else metrics


@dataclass(frozen=True)
class BaseContent:
    """What the adaptation needs of the base model's files; ``weights`` are those of the folds to adapt, by fold."""

    plans: dict[str, Any]
    dataset: dict[str, Any]
    weights: dict[str, Weights]
    mirroring_axes: tuple[int, ...] | None

    @classmethod
    def read(cls, base: ModelInfo, folds: Sequence[str]) -> BaseContent:
        """Read some folds of a verified model."""
        content = ModelContent.of(base)
        checkpoints = {fold: load_checkpoint(base.checkpoint(fold)) for fold in folds}
        return cls(
            content.plans, content.dataset,
            {fold: network_weights(each, base.checkpoint(fold).name) for fold, each in checkpoints.items()},
            checkpoints[folds[0]].get("inference_allowed_mirroring_axes"),
        )


def adapted_folds(base: ModelInfo, spec: JobSpec) -> tuple[str, ...]:
    """Return the folds of the base model that a job adapts."""
    return base.card.folds if spec.base_folds == "all" else base.card.folds[:1]


def _stem(name: str) -> str:
    return name.rpartition(".")[0]


def finite(weights: Weights) -> Weights:
    """Return ``weights``.

    Raises:
        UserError: One holds NaN or infinite values: the last update diverged after its loss was computed.
    """
    for name, value in weights.items():
        if not value.isfinite().all():
            raise UserError(
                "The training diverged.", f"The weight '{name}' holds NaN or infinite values.",
                "Start again with a smaller learning rate.",
            )
    return weights


def compare(before: dict[str, Scores], after: dict[str, Scores]) -> dict[str, Any]:
    """Return hold-out scores per case and their means: ``{"cases": {id: {"before", "after"}}, "mean": {...}}``."""
    if not after:
        return {}

    def mean(scores: dict[str, Scores]) -> Scores:
        means: Scores = {}
        for name in ("dsc", "nsd"):
            known = [value for case in scores.values() if (value := case[name]) is not None]
            means[name] = sum(known) / len(known) if len(known) == len(scores) else None
        return means

    before = {case: before[case] for case in after}
    return {
        "cases": {case: {"before": before[case], "after": after[case]} for case in after},
        "mean": {"before": mean(before), "after": mean(after)},
    }
