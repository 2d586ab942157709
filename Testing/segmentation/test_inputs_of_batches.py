"""What a batch makes of data files that change, of files it must not open, and of a worker that dies over one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import SimpleITK as sitk
from played_worker import WORKER, write_ct

from lnsegfm.base.errors import UserError
from lnsegfm.models.model_card import ModelCard, ModelInfo
from lnsegfm.models.model_store import ModelStore
from lnsegfm.segmentation.batch_inputs import find_inputs
from lnsegfm.segmentation.segment_files import FileRequest, segment_batch, segment_file
from lnsegfm.segmentation.segment_options import SegmentOptions
from lnsegfm.segmentation.worker_client import WorkerClient


@pytest.fixture
def model(tmp_path: Path) -> ModelInfo:
    def fill(folder: Path) -> ModelCard:
        for file in ("plans.json", "dataset.json", "fold_all/checkpoint_final.pth"):
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_text("ours")
        return ModelCard("Ours", "foundation", "PlainConvUNet", "3d_fullres", ("all",))

    return ModelStore(tmp_path / "models").add("ours", fill)


def states(model: ModelInfo, folder: Path, out: Path, script: Path) -> dict[str, str]:
    script.write_text(f"MODEL = {model.sha256!r}\n{WORKER}")
    worker = WorkerClient([sys.executable, str(script)])
    try:
        outcomes = list(segment_batch(worker, model, find_inputs(folder), out, SegmentOptions(model.id)))
    finally:
        worker.close()
    return {
        each.source.path.name: str(each.error) if each.error else "skipped" if each.skipped else "done"
        for each in outcomes
    }


def test_a_scan_is_segmented_again_when_the_data_file_beside_its_header_changed(
    model: ModelInfo, tmp_path: Path
) -> None:
    folder, out, script = tmp_path / "scans", tmp_path / "out", tmp_path / "worker.py"
    write_ct(folder / "ct.mhd")
    assert states(model, folder, out, script) == {"ct.mhd": "done"}
    assert states(model, folder, out, script) == {"ct.mhd": "skipped"}
    header = (folder / "ct.mhd").read_bytes()
    write_ct(folder / "ct.mhd", brightest=900)
    assert (folder / "ct.mhd").read_bytes() == header
    assert states(model, folder, out, script) == {"ct.mhd": "done"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
def test_what_may_not_be_opened_is_refused_and_the_others_are_segmented(model: ModelInfo, tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    write_ct(folder / "good.nrrd")
    (folder / "outside.nrrd").symlink_to(write_ct(tmp_path / "other.nrrd"))
    os.mkfifo(folder / "pipe.nrrd")
    told = states(model, folder, tmp_path / "out", tmp_path / "worker.py")
    assert told["good.nrrd"] == "done"
    assert told["outside.nrrd"].startswith("outside.nrrd cannot be read. It is a link that leads out of the folder")
    assert told["pipe.nrrd"].startswith("pipe.nrrd cannot be read. It is a pipe")
    assert sorted(path.name for path in (tmp_path / "out").glob("*.nrrd")) == ["good.nrrd"]


def test_the_scan_over_which_the_worker_died_is_named(model: ModelInfo, tmp_path: Path) -> None:
    worker = WorkerClient([sys.executable, "-c", "import os, sys; sys.stdin.readline(); os._exit(3)"])
    request = FileRequest(write_ct(tmp_path / "ct.nrrd"), tmp_path / "labels.nrrd", SegmentOptions(model.id))
    with pytest.raises(UserError, match=r"ended unexpectedly\. It worked on ct\.nrrd\. Its exit code was 3"):
        segment_file(worker, model, request)
    worker.close()


def test_an_output_whose_name_no_image_library_can_take_is_refused(model: ModelInfo, tmp_path: Path) -> None:
    from lnsegfm.formats.image_files import write_image

    with pytest.raises(UserError, match=r"labels\\udcff\.nrrd cannot be written.*not UTF-8"):
        write_image(sitk.Image((2, 2, 2), sitk.sitkUInt8), Path(f"{tmp_path}/labels\udcff.nrrd"))
