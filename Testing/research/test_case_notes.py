"""What is said of the cases of an experiment when they are read reaches its log and its list."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from plain_body import IN_AIR, IN_MUSCLE, PlainBody

from lnsegfm.base.files import read_json
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.formats.image_files import write_image
from lnsegfm.research.benchmark.benchmark_cases import store_cases
from lnsegfm.research.benchmark.benchmark_config import CaseSource


def test_it_is_in_the_log_and_listed_and_stays_when_the_case_is_not_read_again(tmp_path: Path) -> None:
    body = PlainBody()
    body.sphere(IN_MUSCLE, 16, 60)
    body.sphere(IN_AIR, 12, 60)
    ct, labels = body.images()
    shifted = sitk.Cast(labels, sitk.sitkUInt8)
    shifted.SetOrigin((np.array(labels.GetOrigin()) + 0.2).tolist())  # a note of where they lie
    for name, image in (("imagesTr/a_0000.nrrd", ct), ("labelsTr/a.nrrd", shifted)):
        (tmp_path / "raw" / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(image, tmp_path / "raw" / name)
    store, lines = CaseStore(tmp_path / "cases"), list[str]()
    source = CaseSource(raw="raw")
    ids = store_cases(source, "Hospital", tmp_path, store, lines.append)
    assert lines[0] == "Hospital: a"
    assert any(line.startswith("Hospital/a: 1 of 2 labelled regions cannot be") for line in lines)
    assert any("less than a quarter of a voxel" in line for line in lines)
    listed = read_json(store.root / "case_notes.json")
    assert [f"Hospital/a: {note}" for note in listed["Hospital/a"]] == lines[1:]
    lines.clear()
    assert store_cases(source, "Hospital", tmp_path, store, lines.append) == ids and lines == []
    assert read_json(store.root / "case_notes.json") == listed
