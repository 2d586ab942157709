"""Every change of a store, with the state before and after; what lies between them is what a cut must never leave."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import made_scan
import numpy as np
import SimpleITK as sitk

from lnsegfm.cases.case_store import CaseStore
from lnsegfm.formats.image_files import write_image
from lnsegfm.jobs.job_store import JobStore
from lnsegfm.jobs.job_writer import JobWriter
from lnsegfm.lymph_nodes.measurement_table import write_csv
from lnsegfm.models.model_card import ModelCard
from lnsegfm.models.model_store import ModelStore
from lnsegfm.segmentation.provenance import OutputFile, Provenance
from torture.targets import DIGEST, fill_model, job_spec

Step = Callable[[Path], object]


@dataclass(frozen=True)
class Change:
    """A change of a home.

    Args:
        name: What it is.
        prepare: Makes the home in which it happens.
        change: Does it; when it was cut, the same call again must lead to the same end.
        state: What of the home counts; two homes of the same state are the same to a user.
    """

    name: str
    prepare: Step
    change: Step
    state: Step


def changes() -> Iterator[Change]:
    """Yield all changes."""
    yield Change("add a model", _two_models, _add_model, model_state)
    yield Change("remove a model", _two_models, lambda home: _models(home).remove("child"), model_state)
    yield Change("remove the demonstration model", _demonstration, lambda home: _models(home).remove("demo"),
                 model_state)  # fmt: skip
    yield Change("remove a rejected model", _rejected, lambda home: _models(home).remove("child"), model_state)
    yield Change("reject the default model", _two_models, lambda home: _models(home).reject("child"), model_state)
    yield Change("choose a rejected model", _rejected, lambda home: _models(home).set_default("child"), model_state)
    yield Change("rename a model", _two_models, lambda home: _models(home).rename("child", "Other"), model_state)
    yield Change("accept a new case", _nothing, lambda home: _accept(home, 1), case_state)
    yield Change("accept another version", _one_case, lambda home: _accept(home, 2), case_state)
    yield Change("hold a case out", _one_case, lambda home: _cases(home).set_use("case-0001", "holdout"), case_state)
    yield Change("remove a case", _one_case, lambda home: _remove_case(home), case_state)
    yield Change("restore a case", _removed_case, _restore_case, case_state)
    yield Change("delete a case", _one_case, lambda home: _delete_case(home), case_state)
    yield Change("delete a removed case", _removed_case, lambda home: _delete_case(home), case_state)
    yield Change("make a job", _nothing, _make_job, job_state)
    yield Change("work on a job", _one_job, _work, job_state)
    yield Change("remove a job", _finished_job, _remove_job, job_state)
    yield Change("write the results of a segmentation", _results, lambda home: _write_results(home, 2), result_state)


# Models


def _models(home: Path) -> ModelStore:
    return ModelStore(home / "models")


def _two_models(home: Path) -> None:
    store = _models(home)
    parent = store.add("parent", fill_model)

    def fill(folder: Path) -> ModelCard:
        fill_model(folder)
        (folder / "plans.json").write_text('{"name": "child"}', encoding="utf-8")
        return ModelCard("Child", "adapted", "PlainConvUNet", "3d_fullres", ("0",), parent="parent",
                         parent_sha256=parent.sha256)  # fmt: skip

    store.add("child", fill)
    store.set_default("parent")
    store.set_default("child")


def _rejected(home: Path) -> None:
    _two_models(home)
    _models(home).reject("child")


def _demonstration(home: Path) -> None:
    def fill(folder: Path) -> ModelCard:
        fill_model(folder)
        return ModelCard("Demonstration", "demonstration", "PlainConvUNet", "3d_fullres", ("0",))

    _models(home).add("demo", fill)


def _add_model(home: Path) -> None:
    def fill(folder: Path) -> ModelCard:
        fill_model(folder)
        (folder / "plans.json").write_text('{"name": "third"}', encoding="utf-8")
        return ModelCard("Third", "foundation", "PlainConvUNet", "3d_fullres", ("0",))

    _models(home).add("third", fill, once=True)


def model_state(home: Path) -> object:
    """Return models, the default one, and what is remembered of models that are gone."""
    store = _models(home)
    listed = [
        (model.id, model.name, store.verify(model.id).sha256, store.is_rejected(model.id)) for model in store.list()
    ]
    return sorted(listed), store.default_id, store.is_rejected("demo")


# Cases


def _cases(home: Path) -> CaseStore:
    return CaseStore(home / "cases")


def _nothing(home: Path) -> None:
    home.mkdir(exist_ok=True)


def _accept(home: Path, version: int) -> None:
    ct, labels = made_scan.scan()
    labels[:, :, : 20 * (version - 1)] = 0
    _cases(home).accept_once(made_scan.image(ct), made_scan.image(labels))


def _one_case(home: Path) -> None:
    _accept(home, 1)


def _removed_case(home: Path) -> None:
    _accept(home, 1)
    _cases(home).remove("case-0001")


def _remove_case(home: Path) -> None:
    if _cases(home).list():
        _cases(home).remove("case-0001")


def _restore_case(home: Path) -> None:
    if _cases(home).removed:
        _cases(home).restore("case-0001")


def _delete_case(home: Path) -> None:
    store = _cases(home)
    if store.list():
        store.remove("case-0001", forever=True)
    elif store.removed:
        store.forget("case-0001")


def case_state(home: Path) -> object:
    """Return cases with the voxels of all their versions, and what is in the trash; an id may be left out."""
    store = _cases(home)
    return [
        (case.use, _voxels(case.image_path), [_voxels(case.label_path(each.number)) for each in case.versions])
        for case in store.list()
    ], len(store.removed)


def _voxels(path: Path) -> str:
    array = np.ascontiguousarray(sitk.GetArrayFromImage(sitk.ReadImage(str(path))))
    return hashlib.sha256(array.tobytes()).hexdigest()


# Jobs


def _jobs(home: Path) -> JobStore:
    return JobStore(home / "jobs")


def _make_job(home: Path) -> None:
    if not _jobs(home).list():
        _jobs(home).create(job_spec(), token="abcdef")


def _one_job(home: Path) -> None:
    _jobs(home).create(job_spec(), token="abcdef")


def _work(home: Path) -> None:
    job = _jobs(home).list()[0]
    if job.status().state == "done":
        return
    with JobWriter(job.path, heartbeat_s=1000.0) as writer:
        writer.status(stage="training", iterations=3)
        for iteration in range(1, 4):
            writer.append({"iteration": iteration, "loss": 1.0, "lr": 0.1, "seconds": 0.0})
        writer.done("adapted")


def _finished_job(home: Path) -> None:
    _one_job(home)
    _work(home)


def _remove_job(home: Path) -> None:
    for job in _jobs(home).list():
        job.remove()


def job_state(home: Path) -> object:
    """Return the jobs, whether they are done, and by how many rows their progress has gaps."""
    found = []
    for job in _jobs(home).list():
        rows = [row["iteration"] for row in job.progress()]
        found.append((job.id, job.status().state == "done", rows == list(range(1, len(rows) + 1))))
    return found


# Results


def _write_results(home: Path, number: int) -> None:
    labels = home / "labels.nrrd"
    array = made_scan.scan()[1]
    array[:number] = 1
    write_image(made_scan.image(array), labels)
    write_csv([], home / "labels.csv")
    output = {"labels": OutputFile(labels.name, hashlib.sha256(labels.read_bytes()).hexdigest())}
    Provenance("m", "M", "foundation", DIGEST, {"number": number}, "cpu", DIGEST, output, created="now").write(labels)


def _results(home: Path) -> None:
    home.mkdir(exist_ok=True)
    _write_results(home, 1)


def result_state(home: Path) -> object:
    """Return the labels, and whether the record says how these labels were made, in which case it must be true."""
    labels = home / "labels.nrrd"
    record = Provenance.read(labels)
    whole = _voxels(labels)
    made = json.dumps(record.request) if record is not None and record.wrote(labels) else "not known"
    return whole, made, (home / "labels.csv").is_file()
