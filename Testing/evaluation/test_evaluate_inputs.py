"""``lnsegfm evaluate`` takes and refuses label files by the rules that hold elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from labelled_scan import on_grid, put, structures, truth, with_segments

from lnsegfm.base.errors import UserError
from lnsegfm.cli import main
from lnsegfm.evaluation.scoring import Settings
from lnsegfm.inputs.label_reading import read_labels

PLACED = {
    "rounded": (on_grid(truth(), (2.001, 2.0, 3.0), (-47.04, -53.0, -36.0)), "less than a quarter of a voxel"),
    "cropped": (sitk.Crop(on_grid(truth()), (4, 6, 2), (3, 2, 1)), "shares the truth's voxels"),
    "flipped": (sitk.Flip(on_grid(truth()), (True, False, True)), "shares the truth's voxels"),
}


def summary(capsys: pytest.CaptureFixture[str], *call: object) -> dict[str, object]:
    assert main(["evaluate", *map(str, call), "--json"]) == 0
    read: dict[str, object] = json.loads(capsys.readouterr().out)
    return read


@pytest.mark.parametrize("kind", PLACED)
def test_predictions_that_share_the_voxels_of_the_truth_are_scored_exactly_and_said(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    label, said = PLACED[kind]
    pred, wanted = put(tmp_path, "pred.nii.gz", label), put(tmp_path, "truth.nii.gz", on_grid(truth()))
    scores = summary(capsys, pred, wanted)
    assert scores["dsc"] == {"mean": 1.0, "sd": None}
    warnings = " ".join(map(str, scores["warnings"]))  # type: ignore[call-overload]
    assert said in warnings and "was brought onto" not in warnings


@pytest.mark.parametrize("other", [{"channel": 1}, {"label": 2}])
def test_values_together_with_another_choice_are_refused(other: dict[str, int]) -> None:
    with pytest.raises(UserError, match=f"--label-values cannot be combined with --{next(iter(other))}"):
        Settings(values="1", **other)  # type: ignore[arg-type]


def test_what_is_odd_of_a_file_is_among_the_warnings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = put(tmp_path, "truth.nii.gz", on_grid(truth()))
    pred = put(tmp_path, "pred.mha", on_grid(truth()))
    header, voxels = pred.read_bytes().split(b"ElementDataFile = LOCAL\n")
    kept = [line for line in header.split(b"\n") if not line.startswith(b"TransformMatrix")]
    pred.write_bytes(b"\n".join(kept) + b"ElementDataFile = LOCAL\n" + voxels)
    said = summary(capsys, pred, wanted)["warnings"]
    assert isinstance(said, list)
    notes: list[str] = []
    read_labels(pred, notes)
    assert notes
    assert [f"truth: Prediction: {note}" for note in notes] == [each for each in said if "Prediction:" in each]


def test_segments_in_several_layers_are_chosen_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layers = sitk.Compose(on_grid(truth()), on_grid((structures() == 2).astype(np.uint8)))
    segments = [{"Name": "LN 1", "LabelValue": 1, "Layer": 0}, {"Name": "Vein", "LabelValue": 1, "Layer": 1}]
    pred = put(tmp_path, "pred.seg.nrrd", with_segments(layers, segments))
    scores = summary(capsys, pred, put(tmp_path, "truth.nii.gz", on_grid(truth())))
    assert scores["dsc"] == {"mean": 1.0, "sd": None} and "Left out: 'Vein'" in str(scores["warnings"])
