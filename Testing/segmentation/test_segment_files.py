"""From CT files to labels, measurements and provenance: with a worker that finds whatever is brighter than 500 HU."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import SimpleITK as sitk
from played_worker import WORKER, write_ct

from lnsegfm import NOTICE, __version__
from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.models.model_card import ModelCard, ModelInfo
from lnsegfm.models.model_choice import model_for_segmentation
from lnsegfm.models.model_store import ModelStore
from lnsegfm.segmentation.batch_inputs import BatchInput, find_inputs
from lnsegfm.segmentation.provenance import Provenance, sidecar_path
from lnsegfm.segmentation.segment_files import FileRequest, check_request, segment_batch, segment_file
from lnsegfm.segmentation.segment_options import SegmentOptions
from lnsegfm.segmentation.worker_client import WorkerClient


def add_model(store: ModelStore, name: str, kind: str = "foundation") -> ModelInfo:
    def fill(folder: Path) -> ModelCard:
        for file in ("plans.json", "dataset.json", "fold_all/checkpoint_final.pth"):
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_text(name)
        return ModelCard(name, kind, "PlainConvUNet", "3d_fullres", ("all",))

    return store.add(name, fill)


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


@pytest.fixture
def model(store: ModelStore) -> ModelInfo:
    return add_model(store, "Ours")


@pytest.fixture
def worker(model: ModelInfo, tmp_path: Path) -> Iterator[WorkerClient]:
    script = tmp_path / "worker.py"
    script.write_text(f"MODEL = {model.sha256!r}\n{WORKER}")
    client = WorkerClient([sys.executable, str(script)])
    yield client
    client.close()


def request_for(ct: Path, labels: Path, model: ModelInfo, **more: object) -> FileRequest:
    return FileRequest(ct, labels, SegmentOptions(model.id), **more)  # type: ignore[arg-type]


def test_labels_carry_their_provenance_beside_them(worker: WorkerClient, model: ModelInfo, tmp_path: Path) -> None:
    ct, labels = write_ct(tmp_path / "Doe^John.nrrd"), tmp_path / "out" / "labels.nii.gz"
    request = request_for(ct, labels, model, measurements=tmp_path / "out" / "table.csv")
    result = segment_file(worker, model, request, warnings=["The model is new."])
    assert [each.number for each in result.lymph_nodes] == [1]
    text = (tmp_path / "out" / "labels.segmentation.json").read_text()
    written = json.loads(text)
    assert "Doe" not in text and str(tmp_path) not in text
    assert (written["model"], written["model_sha256"], written["notice"]) == (model.id, model.sha256, NOTICE)
    assert written["warnings"] == ["The model is new.", "The image's modality is MR, not CT."]
    assert written["versions"]["lnsegfm"] == __version__ and written["versions"]["torch"] == "2.x"
    asked = {
        "quality": "standard", "region": "whole", "minimum_short_axis_mm": 0.0, "keep_implausible": False,
        "backend": "auto", "precision": "auto",
    }
    assert written["request"] == asked
    assert {name: each["file"] for name, each in written["outputs"].items()} == {
        "labels": "labels.nii.gz", "measurements": "table.csv",
    }
    assert Provenance.read(labels) == result.provenance.__class__(**{
        **vars(result.provenance), "created": written["created"],
    })  # fmt: skip
    assert (tmp_path / "out" / "table.csv").read_text("utf-8-sig").startswith("number,segment,side,short_axis_mm")


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".mha"])
def test_the_hash_of_the_input_is_that_of_its_file(
    worker: WorkerClient, model: ModelInfo, tmp_path: Path, suffix: str
) -> None:
    from lnsegfm.base.files import sha256

    ct = write_ct(tmp_path / f"ct{suffix}")
    result = segment_file(worker, model, request_for(ct, tmp_path / f"labels{suffix}", model))
    assert result.provenance.input_sha256 == sha256(ct)


def test_a_result_never_replaces_its_input(model: ModelInfo, tmp_path: Path) -> None:
    ct = write_ct(tmp_path / "ct.nrrd")
    before = ct.read_bytes()
    for changes in ({"labels": ct}, {"measurements": ct}, {"probability": ct}):
        request = FileRequest(**{  # type: ignore[arg-type]
            "ct": ct, "labels": tmp_path / "l.nrrd", "options": SegmentOptions(model.id), "overwrite": True, **changes,
        })  # fmt: skip
        with pytest.raises(UserError, match="is one of the inputs"):
            check_request(request)
    assert ct.read_bytes() == before


@pytest.mark.parametrize("other", ["labels.nrrd", "LABELS.nrrd", "labels.segmentation.json"])
def test_two_results_cannot_have_one_name(model: ModelInfo, tmp_path: Path, other: str) -> None:
    request = request_for(
        write_ct(tmp_path / "ct.nrrd"), tmp_path / "labels.nrrd", model, measurements=tmp_path / other
    )
    with pytest.raises(UserError, match="asked for twice"):
        check_request(request)


def test_a_file_of_somebody_else_is_kept_unless_it_may_be_replaced(
    worker: WorkerClient, model: ModelInfo, tmp_path: Path
) -> None:
    ct, labels = write_ct(tmp_path / "ct.nrrd"), tmp_path / "labels.nrrd"
    labels.write_bytes(b"by hand")
    with pytest.raises(UserError, match="not written by an earlier segmentation"):
        segment_file(worker, model, request_for(ct, labels, model))
    assert labels.read_bytes() == b"by hand"
    segment_file(worker, model, request_for(ct, labels, model, overwrite=True))
    segment_file(worker, model, request_for(ct, labels, model))  # its own result may be replaced


def test_a_correction_of_an_earlier_result_is_kept(worker: WorkerClient, model: ModelInfo, tmp_path: Path) -> None:
    ct, labels = write_ct(tmp_path / "ct.nrrd"), tmp_path / "labels.nrrd"
    segment_file(worker, model, request_for(ct, labels, model))
    corrected = sitk.ReadImage(str(labels))
    corrected[0, 0, 0] = 1
    sitk.WriteImage(corrected, str(labels))
    with pytest.raises(UserError, match="changed since it was segmented"):
        segment_file(worker, model, request_for(ct, labels, model))
    assert sitk.ReadImage(str(labels))[0, 0, 0] == 1


def test_a_folder_is_segmented_and_continued_where_it_stopped(
    worker: WorkerClient, model: ModelInfo, tmp_path: Path
) -> None:
    source, results = tmp_path / "imagesTs", tmp_path / "results"
    write_ct(source / "neck_0000.nii.gz")
    write_ct(source / "neck_0001.nii.gz")
    write_ct(source / "deep" / "chest.nrrd")
    (source / "torn.nrrd").write_bytes(b"NRRD0004\n")
    found = find_inputs(source)
    assert [str(each.output) for each in found] == ["neck.nii.gz", "torn.nrrd", "deep/chest.nrrd"]
    outcomes = list(segment_batch(worker, model, found, results, SegmentOptions(model.id)))
    assert [(bool(each.result), bool(each.error)) for each in outcomes] == [(True, False), (False, True), (True, False)]
    assert outcomes[0].labels == results / "neck.nii.gz" and outcomes[0].labels.is_file()
    again = list(segment_batch(worker, model, found, results, SegmentOptions(model.id)))
    assert [each.skipped for each in again] == [True, False, True]
    # Another question, another CT or another model is no reason to skip.
    other = list(segment_batch(worker, model, found, results, SegmentOptions(model.id, quality="fast")))
    assert not any(each.skipped for each in other)
    write_ct(source / "neck_0000.nii.gz", brightest=900)
    changed = list(segment_batch(worker, model, found[:1], results, SegmentOptions(model.id, quality="fast")))
    assert not changed[0].skipped


def test_a_batch_can_be_cancelled_between_and_within_its_scans(
    worker: WorkerClient, model: ModelInfo, tmp_path: Path
) -> None:
    write_ct(tmp_path / "in" / "a.nrrd")
    write_ct(tmp_path / "in" / "b.nrrd", brightest=3001)  # never ends
    reported = []
    running = segment_batch(
        worker, model, find_inputs(tmp_path / "in"), tmp_path / "out", SegmentOptions(model.id),
        report=lambda progress: reported.append(progress.message), is_cancelled=lambda: "Segmenting" in reported,
    )  # fmt: skip
    assert next(running).result is not None
    with pytest.raises(Cancelled):
        next(running)
    assert not (tmp_path / "out" / "b.nrrd").exists()


def test_dicom_series_are_found_and_named_after_their_folders(real_ct: Path, tmp_path: Path) -> None:
    (tmp_path / "study" / "scan 1").mkdir(parents=True)
    for path in real_ct.iterdir():
        (tmp_path / "study" / "scan 1" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "study" / "notes.txt").write_text("no image")
    found = find_inputs(tmp_path / "study")
    assert found == [BatchInput(tmp_path / "study" / "scan 1", Path("scan 1.nrrd"))]
    assert find_inputs(tmp_path / "study" / "scan 1")[0].output == Path("scan 1.nrrd")


def test_two_scans_that_would_share_a_result_are_refused(tmp_path: Path) -> None:
    write_ct(tmp_path / "a.nii.gz")
    write_ct(tmp_path / "a_0000.nii.gz")
    with pytest.raises(UserError, match="same result"):
        find_inputs(tmp_path)


def test_a_folder_without_scans_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(UserError, match="nothing to segment"):
        find_inputs(tmp_path)


def test_sidecar_of_a_name_with_dots() -> None:
    assert sidecar_path(Path("a/b.c.nii.gz")) == Path("a/b.c.segmentation.json")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "lnsegfm.segmentation/1"}', "[" * 100_000])
def test_a_damaged_sidecar_vouches_for_nothing(tmp_path: Path, content: str) -> None:
    sidecar_path(tmp_path / "l.nrrd").write_text(content)
    assert Provenance.read(tmp_path / "l.nrrd") is None


def test_the_default_model_segments_and_never_a_rejected_one(store: ModelStore) -> None:
    first, second = add_model(store, "first"), add_model(store, "second")
    assert model_for_segmentation(store) == (first, [])
    store.set_default(second.id)
    assert model_for_segmentation(store) == (second, [])
    third = add_model(store, "third", "adapted")
    store.set_default(third.id)
    store.reject(third.id)
    assert model_for_segmentation(store)[0].id != third.id
    with pytest.raises(UserError, match="--rejected"):
        model_for_segmentation(store, third.id)
    model, warnings = model_for_segmentation(store, third.id, rejected_too=True)
    assert model == third and "rejected" in warnings[0]


def test_a_demonstration_model_segments_only_when_it_is_asked_for(store: ModelStore) -> None:
    with pytest.raises(UserError, match="No model is installed"):
        model_for_segmentation(store)
    demonstration = add_model(store, "phantom", "demonstration")
    store.set_default(demonstration.id)
    with pytest.raises(UserError, match="No model for patients"):
        model_for_segmentation(store)
    model, warnings = model_for_segmentation(store, "phantom")
    assert model == demonstration and "synthetic scans only" in warnings[0]


def test_scans_whose_results_would_share_the_file_beside_them_are_refused(tmp_path: Path) -> None:
    for name in ("a.nii.gz", "a.nrrd"):
        (tmp_path / name).touch()
    with pytest.raises(UserError, match="Two scans would have the same result"):
        find_inputs(tmp_path)


def test_pairs_of_nifti_files_are_found(tmp_path: Path) -> None:
    for name in ("b.hdr", "b.img"):
        (tmp_path / name).touch()
    assert [(each.path.name, each.output.name) for each in find_inputs(tmp_path)] == [("b.hdr", "b.nii.gz")]
