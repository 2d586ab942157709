"""Every kind of file that is read: a sound one, how it is read, and what damage it gets."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import made_scan
import SimpleITK as sitk
from hypothesis import strategies as st

from lnsegfm.cases.case_info import CASE, CaseInfo
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.inputs.dataset_labels import DatasetLabels
from lnsegfm.inputs.label_reading import read_labels
from lnsegfm.inputs.reading import read_ct
from lnsegfm.jobs.job_spec import CaseRef, JobSpec
from lnsegfm.jobs.job_store import Job, JobStore
from lnsegfm.models.model_card import CARD, ModelCard, read_model
from lnsegfm.models.model_store import ModelStore
from lnsegfm.segmentation.provenance import OutputFile, Provenance, sidecar_path
from torture import mutations
from torture.mutations import Damage

DIGEST = "ab" * 32


@dataclass(frozen=True)
class Target:
    """A kind of file.

    Args:
        name: What it is.
        make: Writes a sound one into an empty folder and returns the file that is damaged.
        read: Reads it, given that file; returns what can be compared, or raises `UserError`.
        damage: How it is damaged.
        whole: Whether a file without its end must be refused.
        enough: Bytes after which it may end; 0 for all of them.
    """

    name: str
    make: Callable[[Path], Path]
    read: Callable[[Path], object]
    damage: st.SearchStrategy[Damage]
    whole: bool = True
    enough: int = 0


def targets() -> Iterator[Target]:
    """Yield all kinds; those that need torch are in `torture.model_targets`."""
    ct = made_scan.image(made_scan.scan()[0])
    labels = made_scan.image(made_scan.scan()[1])
    for name in ("ct.nii", "ct.nii.gz", "ct.nrrd", "ct.mha", "ct.mhd", "ct.hdr", "ct.nhdr"):
        # The header of a pair has 348 bytes; the four that tell of extensions may follow.
        yield Target(f"CT as {name[2:]}", _writes(ct, name), _hash_of(read_ct), mutations.byte_damage,
                     enough=348 if name.endswith(".hdr") else 0)  # fmt: skip
    for name in ("labels.nii.gz", "labels.nrrd", "labels.mha"):
        yield Target(f"labels as {name[6:]}", _writes(labels, name), _hash_of(read_labels), mutations.byte_damage)
    yield Target("slice of a series", _series, lambda path: _hash(read_ct(path.parent)), mutations.byte_damage)
    yield Target("enhanced CT", _enhanced, _hash_of(read_ct), mutations.byte_damage)
    yield Target("case.json", _case, lambda path: CaseInfo.read(path.parent).versions, mutations.json_damage)
    yield Target("model.json", _model, lambda path: read_model(path.parent).sha256, mutations.json_damage)
    yield Target("job.json", _job("job.json"), _whole_job, mutations.json_damage)
    yield Target("status.json", _job("status.json"), _whole_job, mutations.json_damage, whole=False)
    yield Target("launch.json", _job("launch.json"), _whole_job, mutations.json_damage, whole=False)
    yield Target("progress.jsonl", _job("progress.jsonl"), _whole_job, mutations.byte_damage, whole=False)
    yield Target("log.txt", _job("log.txt"), _whole_job, mutations.byte_damage, whole=False)
    yield Target("record of a segmentation", _record, _read_record, mutations.json_damage, whole=False)
    yield Target("dataset.json of labels", _dataset, lambda path: DatasetLabels.read(path).structures,
                 mutations.json_damage)  # fmt: skip


def _hash(image: sitk.Image) -> str:
    return f"{sitk.Hash(image)} {image.GetSize()} {image.GetSpacing()} {image.GetOrigin()} {image.GetDirection()}"


def _hash_of(read: Callable[[Path], sitk.Image]) -> Callable[[Path], str]:
    return lambda path: _hash(read(path))


def _writes(image: sitk.Image, name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        sitk.WriteImage(image, str(folder / name), useCompression=not name.endswith("hdr"))
        return folder / name

    return make


def _series(folder: Path) -> Path:
    return made_scan.write_slices(folder)[7]


def _enhanced(folder: Path) -> Path:
    made_scan.write_enhanced(folder / "ct.dcm")
    return folder / "ct.dcm"


def _case(folder: Path) -> Path:
    ct, labels = (made_scan.image(each) for each in made_scan.scan())
    return CaseStore(folder / "cases").accept(ct, labels).path / CASE


def fill_model(folder: Path) -> ModelCard:
    """Put files into a model's folder as far as the store looks at them, and return a card."""
    for name in ("plans.json", "dataset.json"):
        (folder / name).write_text(json.dumps({"name": name}), encoding="utf-8")
    (folder / "fold_0").mkdir()
    (folder / "fold_0" / "checkpoint_final.pth").write_bytes(b"weights")
    return ModelCard("A model", "foundation", "PlainConvUNet", "3d_fullres", ("0",), lineage={"seed": 1})


def _model(folder: Path) -> Path:
    return ModelStore(folder / "models").add("A model", fill_model).path / CARD


def job_spec() -> JobSpec:
    """Return the spec of a job that is never run."""
    return JobSpec(base_model="base", base_sha256=DIGEST, cases=(CaseRef("case-0001", 1),))


def _job(name: str) -> Callable[[Path], Path]:
    status = {"state": "failed", "iteration": 3, "metrics": {"cases": {}}, "error": {"what": "It failed."}}
    contents = {
        "status.json": json.dumps({**status, "state": "starting"} if name == "launch.json" else status),
        "launch.json": json.dumps({"pid": 1, "pid_started": 12.5}),
        "progress.jsonl": "".join(json.dumps({"iteration": each, "loss": 1 / each}) + "\n" for each in range(1, 9)),
        "log.txt": "first\nsecond\n",
    }

    def make(folder: Path) -> Path:
        job = JobStore(folder / "jobs").create(job_spec())
        for each, text in contents.items():
            (job.path / each).write_text(text, encoding="utf-8")
        return job.path / name

    return make


def _whole_job(path: Path) -> object:
    job = Job(path.parent)
    state = job.status().state
    return state, len(job.progress()), len(job.log_tail())


def _record(folder: Path) -> Path:
    labels = folder / "labels.nii.gz"
    Provenance("m", "M", "foundation", DIGEST, {"quality": "fast"}, "cpu", DIGEST,
               {"labels": OutputFile(labels.name, DIGEST)}).write(labels)  # fmt: skip
    return sidecar_path(labels)


def _read_record(path: Path) -> object:
    return Provenance.read(path.with_name("labels.nii.gz")) is not None


def _dataset(folder: Path) -> Path:
    content = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "lymph node": 1, "carotid artery": 2}}
    (folder / "dataset.json").write_text(json.dumps(content), encoding="utf-8")
    return folder / "dataset.json"


def copied(template: Path, folder: Path) -> None:
    """Copy a folder that `Target.make` has filled."""
    shutil.copytree(template, folder)
