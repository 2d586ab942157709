"""Files are read in a process of their own: the same images and errors come back, and a crash takes one file only."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from made_scan import image, scan, write_slices

from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.home import Home
from lnsegfm.base.processes import child_environment
from lnsegfm.cases.case_import import import_folder
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.images.hounsfield import NotHounsfield
from lnsegfm.inputs import label_reading, reading, reading_apart
from lnsegfm.segmentation.batch_inputs import find_inputs
from lnsegfm.session import Session

# Reads as the real one, but for files of some names.
ODD = """
import os, signal, time
from lnsegfm.base.serving.process_server import serve
from lnsegfm.inputs import reader_process

def load():
    def find(name):
        def read(arguments, report, is_cancelled):
            stem = os.path.basename(arguments["path"])
            if stem.startswith("fatal"):
                os.kill(os.getpid(), signal.SIGSEGV)
            if stem.startswith("greedy"):
                os.kill(os.getpid(), signal.SIGKILL)
            while stem.startswith("endless"):
                time.sleep(0.01)
            return reader_process._operation(name)(arguments, report, is_cancelled)
        return read
    return find

serve(load)
"""


@pytest.fixture
def odd_reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[reading_apart.Reader]:
    reader = reading_apart.Reader([sys.executable, "-c", ODD])
    monkeypatch.setattr(reading_apart, "_reader", reader)
    yield reader
    reader.close()


@pytest.fixture
def nothing_here(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """No image library reads a file in this process, but those that the home holds."""
    for library, name in ((sitk, "ReadImage"), (pydicom, "dcmread"), (nibabel, "load")):
        original = getattr(library, name)

        def read(path: object, *args: object, original: Callable[..., object] = original, **kwargs: object) -> object:
            assert str(path).startswith(str(own_home.root)), "It was read in this process."
            return original(path, *args, **kwargs)

        monkeypatch.setattr(library, name, read)


def write_raw(folder: Path, *names: str) -> Path:
    for sub, array, end in (("imagesTr", scan()[0], "_0000.nii.gz"), ("labelsTr", scan()[1], ".nii.gz")):
        (folder / sub).mkdir(parents=True, exist_ok=True)
        for number, name in enumerate(names):
            made = array + np.int16(number) if sub == "imagesTr" else array
            sitk.WriteImage(image(made), str(folder / sub / f"{name}{end}"))
    return folder


def described(read: sitk.Image) -> tuple[object, ...]:
    return (
        read.GetPixelIDTypeAsString(), read.GetSize(), read.GetSpacing(), read.GetOrigin(), read.GetDirection(),
        sitk.GetArrayFromImage(read).tobytes(), {key: read.GetMetaData(key) for key in read.GetMetaDataKeys()},
    )  # fmt: skip


def test_a_ct_comes_back_as_it_is_read_here_with_its_notes(tmp_path: Path) -> None:
    write_slices(tmp_path / "series")
    (tmp_path / "series" / "IM0099").write_bytes(b"something else")
    sitk.WriteImage(image(scan()[0].astype(np.float32) + 0.5), str(tmp_path / "ct.nrrd"))
    for path in (tmp_path / "series", tmp_path / "ct.nrrd"):
        here: list[str] = []
        apart: list[str] = []
        expected = described(reading.read_ct(path, warnings=here))
        assert described(reading_apart.read_ct(path, warnings=apart)) == expected and apart == here
    assert "float" in str(expected[0])


def test_labels_come_back_with_layers_times_and_names(tmp_path: Path) -> None:
    layers = sitk.Compose([image(scan()[1].astype(np.uint8)), image((scan()[1] * 2).astype(np.uint8))])
    layers.SetMetaData("Segment0_Name", "Lymphknoten rechts, größer")
    several = sitk.JoinSeries([image(scan()[1]), image(scan()[1])])
    for name, made in (("layers.seg.nrrd", layers), ("times.nrrd", several)):
        sitk.WriteImage(made, str(tmp_path / name))
        expected = described(label_reading.read_labels(tmp_path / name))
        assert described(reading_apart.read_labels(tmp_path / name)) == expected


def test_errors_keep_their_kind(tmp_path: Path) -> None:
    sitk.WriteImage(image((scan()[0] > 0).astype(np.int16)), str(tmp_path / "ct.nrrd"))
    with pytest.raises(NotHounsfield) as here:
        reading.read_ct(tmp_path / "ct.nrrd")
    with pytest.raises(NotHounsfield) as apart:
        reading_apart.read_ct(tmp_path / "ct.nrrd")
    assert apart.value.to_json() == here.value.to_json()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize(("name", "how"), [("fatal", "SIGSEGV"), ("greedy", "SIGKILL.*memory runs out")])
def test_a_file_that_ends_the_process_is_refused_and_the_import_goes_on(
    tmp_path: Path, odd_reader: reading_apart.Reader, name: str, how: str
) -> None:
    raw = write_raw(tmp_path / "raw", "a", name, "z")
    report = import_folder(CaseStore(tmp_path / "cases"), raw)
    assert [stored for stored, _ in report.stored] == ["a", "z"]
    ((left_out, reason),) = report.skipped
    assert left_out == name and reason.startswith(f"{name}_0000.nii.gz cannot be read.")
    with pytest.raises(UserError, match=how):
        reading_apart.read_ct(raw / "imagesTr" / f"{name}_0000.nii.gz")


def test_a_file_that_is_not_read_in_time_is_refused(tmp_path: Path) -> None:
    (tmp_path / "endless.nrrd").touch()
    reader = reading_apart.Reader([sys.executable, "-c", ODD], longest_s=0.3)
    with pytest.raises(UserError, match=r"endless\.nrrd cannot be read. It was not read within"):
        reader.ask("lnsegfm.inputs.reader_process:labels", tmp_path / "endless.nrrd")
    reader.close()


def test_reading_can_be_cancelled(tmp_path: Path, odd_reader: reading_apart.Reader) -> None:
    raw, cancelled = write_raw(tmp_path / "raw", "endless", "z"), threading.Event()
    store = CaseStore(tmp_path / "cases")
    with pytest.raises(Cancelled):
        import_folder(store, raw, progress=lambda done, text: cancelled.set(), is_cancelled=_after(cancelled))
    assert store.list() == []
    assert reading_apart.read_ct(raw / "imagesTr" / "z_0000.nii.gz").GetSize() == (40, 36, 16)


def _after(event: threading.Event) -> reading_apart.IsCancelled:
    """Answer yes from the second question after the event on: the first is asked before the file is read."""
    asked = 0

    def is_cancelled() -> bool:
        nonlocal asked
        asked += event.is_set()
        return asked > 0

    return is_cancelled


def test_nothing_of_strangers_is_read_in_the_process_of_the_user(
    nothing_here: None, tmp_path: Path
) -> None:
    raw = write_raw(tmp_path / "raw", "a")
    write_slices(tmp_path / "scans" / "series")
    with Session() as session:
        ct, labels = raw / "imagesTr" / "a_0000.nii.gz", raw / "labelsTr" / "a.nii.gz"
        case = session.cases.add(ct, labels, notes=[])
        report = session.cases.import_folder(raw)
        assert report.skipped == [("a", f"It is stored already, as {case.id}.")]
        assert len(session.measure(ct, labels, warnings=[])) == 2
    assert [each.path for each in find_inputs(tmp_path / "scans")] == [tmp_path / "scans" / "series"]


def test_no_voxels_are_left_on_the_disk(own_home: Home, tmp_path: Path) -> None:
    raw = write_raw(tmp_path / "raw", "a")
    before = sorted(own_home.root.rglob("*"))
    reading_apart.read_ct(raw / "imagesTr" / "a_0000.nii.gz")
    assert sorted(own_home.root.rglob("*")) == before


def test_the_process_starts_without_torch() -> None:
    code = (
        "import sys, lnsegfm.inputs.reader_process, lnsegfm.inputs.reading, lnsegfm.inputs.label_reading\n"
        "print(*[name for name in ('torch', 'nnunetv2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], env=child_environment(), capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "")
