"""Labels from files are the user's word: what cannot be a lymph node is stored, and told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from plain_body import IN_AIR, IN_MUSCLE, PlainBody

from lnsegfm.cases.case_store import CaseStore


def scan(*, in_air: bool) -> tuple[sitk.Image, sitk.Image]:
    body = PlainBody()
    body.sphere(IN_MUSCLE, 16, 60)
    body.sphere((IN_MUSCLE[0], IN_MUSCLE[1], 25.0), 12, 60)
    if in_air:
        body.sphere(IN_AIR, 12, 60)
    return body.images()


@pytest.mark.parametrize("order", ["LPS", "RAS", "SPL"])
def test_what_lies_outside_of_the_patient_is_told_and_stored(tmp_path: Path, order: str) -> None:
    ct, labels = (sitk.DICOMOrient(image, order) for image in scan(in_air=True))
    notes: list[str] = []
    case = CaseStore(tmp_path).accept(ct, labels, notes=notes)
    (told,) = [note for note in notes if "cannot be" in note]
    assert told.startswith("1 of 3 labelled regions cannot be lymph nodes: 1 outside the body (0.")
    assert case.latest.nodes == 3


def test_it_is_told_of_a_further_version_in_another_voxel_order_and_not_of_the_same(tmp_path: Path) -> None:
    store, (ct, labels) = CaseStore(tmp_path), scan(in_air=True)
    array = sitk.GetArrayFromImage(labels)
    lower = array.copy()
    lower[: len(lower) // 2] = 0
    store.accept(ct, put(lower, labels))
    notes: list[str] = []
    other_order = [sitk.DICOMOrient(image, "RAS") for image in (ct, labels)]
    _, is_new = store.accept_once(*other_order, notes=notes)
    assert is_new and any(note.startswith("1 of 3 labelled regions") for note in notes)
    notes.clear()
    assert not store.accept_once(*other_order, notes=notes)[1]
    assert not any("cannot be" in note for note in notes)


def test_nothing_is_told_of_plausible_labels(tmp_path: Path) -> None:
    notes: list[str] = []
    CaseStore(tmp_path).accept(*scan(in_air=False), notes=notes)
    assert notes == []


def put(array: np.ndarray, like: sitk.Image) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.CopyInformation(like)
    return image
