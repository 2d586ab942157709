"""What cannot be a lymph node in files: left out of labels, tables and counts, or kept with its reason on request."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from plain_body import IN_AIR, IN_MUSCLE, PlainBody

from lnsegfm.base.home import Home
from lnsegfm.cli import main
from lnsegfm.engine.inference import operations
from lnsegfm.engine.inference.operations import Operations
from lnsegfm.models.model_store import ModelStore
from lnsegfm.segmentation.batch_inputs import BatchInput
from lnsegfm.segmentation.file_requests import FileRequest
from lnsegfm.segmentation.provenance import Provenance, sidecar_path
from lnsegfm.segmentation.segment_files import BatchOutcome, segment_batch, segment_file
from lnsegfm.segmentation.segment_options import SegmentOptions
from lnsegfm.session import Session

MODEL = "phantom-demonstration"
LEFT_OUT = "1 implausible left out: 1 outside the body ("


class Direct:
    """A worker in this process, whose network finds what lies in the labels beside the CT."""

    def __init__(self, home: Home) -> None:
        self._operations = Operations(home)

    def request(self, op: str, **arguments: Any) -> Any:
        value = self._operations.segment(arguments, lambda progress: None, lambda: False)
        return type("Done", (), {"done": True, "result": lambda _: json.loads(json.dumps(value)), "progress": None})()

    def start(self) -> None:
        """Nothing is to be imported."""

    def close(self) -> None:
        """Nothing runs."""


@pytest.fixture
def ct(tmp_path: Path) -> Path:
    """A CT with a lymph node, and with something larger in air."""
    body = PlainBody((3.0, 3.0, 4.0))
    body.sphere(IN_MUSCLE, 15, 60)
    body.sphere(IN_AIR, 22)
    image, labels = body.images()
    (tmp_path / "in").mkdir()
    sitk.WriteImage(image, str(tmp_path / "in" / "ct.nrrd"))
    sitk.WriteImage(labels, str(tmp_path / "truth.nrrd"))
    return tmp_path / "in" / "ct.nrrd"


@pytest.fixture
def worker(own_home: Home, ct: Path, monkeypatch: pytest.MonkeyPatch) -> Direct:
    labels = sitk.ReadImage(str(ct.parent.parent / "truth.nrrd"))
    monkeypatch.setattr(operations.Predictor, "predict", lambda *_args, **_kw: sitk.Cast(labels * 230, sitk.sitkUInt8))
    return Direct(own_home)


def options(*, keep: bool = False) -> SegmentOptions:
    return SegmentOptions(MODEL, "cpu", keep_implausible=keep)


def voxels(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


@pytest.mark.parametrize("keep", [False, True])
def test_labels_table_and_provenance_have_it_on_request_alone(
    worker: Any, own_home: Home, ct: Path, tmp_path: Path, keep: bool
) -> None:
    labels, table = tmp_path / "labels.nrrd", tmp_path / "table.csv"
    request = FileRequest(ct, labels, options(keep=keep), measurements=table)
    result = segment_file(worker, ModelStore(own_home.models).get(MODEL), request)
    truth = voxels(tmp_path / "truth.nrrd")
    found = voxels(labels)
    assert np.array_equal(found, truth) == keep and 0 < found.sum() <= truth.sum()
    reasons = [node.implausible for node in result.lymph_nodes]
    assert reasons == (["", "outside the body"] if keep else [""])
    assert [node.implausible for node in result.implausible] == ([] if keep else ["outside the body"])
    assert [node.number for node in (*result.lymph_nodes, *result.implausible)] == [1, 2]
    made = Provenance.read(labels)
    assert made is not None and made.request["keep_implausible"] == keep
    assert (made.lymph_nodes, len(made.measured), len(made.implausible)) == ((2, 2, 0) if keep else (1, 1, 1))
    rows = list(csv.DictReader(table.open(encoding="utf-8-sig")))
    assert [row.get("implausible") for row in rows] == (["", "outside the body"] if keep else [None])


def test_what_is_not_counted_does_not_change_the_expected_benefit(
    worker: Any, own_home: Home, ct: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ModelStore(own_home.models).get(MODEL)
    with_air = segment_file(worker, model, FileRequest(ct, tmp_path / "a.nrrd", options()))
    labels = sitk.ReadImage(str(tmp_path / "a.nrrd"))
    monkeypatch.setattr(operations.Predictor, "predict", lambda *_args, **_kw: sitk.Cast(labels * 230, sitk.sitkUInt8))
    without = segment_file(worker, model, FileRequest(ct, tmp_path / "b.nrrd", options()))
    assert with_air.expected_benefit == pytest.approx(without.expected_benefit)


def test_a_batch_knows_what_was_left_out_before(worker: Any, own_home: Home, ct: Path, tmp_path: Path) -> None:
    model, sources = ModelStore(own_home.models).get(MODEL), [BatchInput(ct, Path("ct.nrrd"))]

    def run(*, keep: bool) -> BatchOutcome:
        return next(iter(segment_batch(worker, model, sources, tmp_path / "out", options(keep=keep))))

    assert not run(keep=False).skipped
    again = run(keep=False)
    assert again.skipped and len(again.lymph_nodes) == 1
    assert [node.implausible for node in again.implausible] == ["outside the body"]
    kept = run(keep=True)
    assert not kept.skipped and len(kept.lymph_nodes) == 2 and kept.implausible == ()


def test_labels_of_earlier_versions_are_segmented_again_unless_all_is_kept(
    worker: Any, own_home: Home, ct: Path, tmp_path: Path
) -> None:
    model, sources = ModelStore(own_home.models).get(MODEL), [BatchInput(ct, Path("ct.nrrd"))]
    for keep, skipped in ((True, True), (False, False)):
        out = tmp_path / f"out-{keep}"
        (outcome,) = segment_batch(worker, model, sources, out, options(keep=True))
        sidecar = sidecar_path(outcome.labels)
        fields = json.loads(sidecar.read_text())
        del fields["implausible"], fields["request"]["keep_implausible"]
        for node in fields["measured"]:
            del node["implausible"]
        sidecar.write_text(json.dumps(fields))
        (again,) = segment_batch(worker, model, sources, out, options(keep=keep))
        assert again.skipped == skipped


@pytest.fixture
def terminal(worker: Direct, monkeypatch: pytest.MonkeyPatch) -> None:
    def session() -> Session:
        made = Session()
        monkeypatch.setattr(type(made), "worker", property(lambda _self: worker))
        return made

    monkeypatch.setattr("lnsegfm.cli.terminal.Session", session)


@pytest.mark.parametrize("output", ["labels.nrrd", "folder"])
def test_the_command_line_says_what_it_left_out(
    terminal: None, ct: Path, tmp_path: Path, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["segment", str(ct), "-o", str(tmp_path / output), "-m", MODEL]
    assert main([*command, "--quiet"]) == 0
    assert LEFT_OUT in capsys.readouterr().err
    assert main([*command, "--json"]) == 0
    printed = capsys.readouterr()
    (row,) = json.loads(printed.out)["results"]
    assert LEFT_OUT in printed.err
    assert [node["implausible"] for node in row["lymph_nodes"]] == [""]
    assert [node["implausible"] for node in row["implausible"]] == ["outside the body"]
    assert main([*command, "--json", "--keep-implausible"]) == 0
    printed = capsys.readouterr()
    (row,) = json.loads(printed.out)["results"]
    assert "left out" not in printed.err and row["implausible"] == []
    assert [node["implausible"] for node in row["lymph_nodes"]] == ["", "outside the body"]


def test_measuring_leaves_it_out_and_says_so(
    own_home: Home, ct: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    labels, table = tmp_path / "truth.nrrd", tmp_path / "table.csv"
    assert main(["measure", str(ct), str(labels), "--json"]) == 0
    printed = capsys.readouterr()
    assert len(json.loads(printed.out)) == 1 and LEFT_OUT in printed.err
    assert main(["measure", str(ct), str(labels), "--keep-implausible", "-o", str(table)]) == 0
    printed = capsys.readouterr()
    assert "IMPLAUSIBLE" in printed.out and "outside the body" in printed.out and "left out" not in printed.err
    assert [row["implausible"] for row in csv.DictReader(table.open(encoding="utf-8-sig"))] == ["", "outside the body"]
    with Session() as session:
        assert len(session.measure(ct, labels)) == 1 and LEFT_OUT in caplog.text
        assert [node.number for node in session.measure(ct, labels, keep_implausible=True)] == [1, 2]


def test_on_a_real_ct_air_at_the_rim_is_kept_apart(own_home: Home, real_ct: Path, tmp_path: Path) -> None:
    value = Operations(own_home).segment(
        {"image": str(real_ct), "model": MODEL, "device": "cpu", "quality": "fast", "output": str(tmp_path / "l.nrrd")},
        lambda progress: None, lambda: False,
    )  # fmt: skip
    apart = value["implausible"]
    assert len(apart) > 20 and all(node["mean_hu"] < -900 and node["implausible"] for node in apart)
    assert value["nodes"] and all(node["mean_hu"] > 0 for node in value["nodes"])
    assert value["warnings"] == []
    kept = sum(node["volume_mm3"] for node in value["nodes"])
    found = sitk.ReadImage(str(tmp_path / "l.nrrd"))
    assert sitk.GetArrayFromImage(found).sum() * np.prod(found.GetSpacing()) == pytest.approx(kept, rel=1e-3)
