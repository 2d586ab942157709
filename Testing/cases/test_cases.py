"""The case store: corrections are kept, recognised, mapped onto their CT, or refused with a reason."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from lnsegfm.base.errors import UserError
from lnsegfm.base.processes import child_environment
from lnsegfm.cases.case_import import import_folder
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.images.geometry import Geometry
from lnsegfm.images.input_options import Placement
from lnsegfm.images.label_grids import PlacementError, label_on_grid

SIZE = (12, 10, 8)


def grid_of(image: sitk.Image, array: np.ndarray) -> sitk.Image:
    result = sitk.GetImageFromArray(array)
    result.CopyInformation(image)
    return result


def make_ct(seed: int = 0, *, angle: float = 0.3) -> sitk.Image:
    values = np.random.default_rng(seed).integers(-1000, 1000, SIZE[::-1]).astype(np.int16)
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((0.9, 0.8, 2.5))
    image.SetOrigin((-31.0, 12.5, 400.0))
    image.SetDirection((np.cos(angle), -np.sin(angle), 0, np.sin(angle), np.cos(angle), 0, 0, 0, 1))
    return image


def make_label(image: sitk.Image, *, shift: int = 0) -> sitk.Image:
    array = np.zeros(image.GetSize()[::-1], np.uint8)
    array[2:4, 3:6, 2 + shift : 5 + shift] = 1
    array[6, 7:9, 8:10] = 1
    return grid_of(image, array)


def stored_label(store: CaseStore, case_id: str, version: int | None = None) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(store.get(case_id).label_path(version))))


@pytest.fixture
def store(tmp_path: Path) -> CaseStore:
    return CaseStore(tmp_path / "cases")


def test_a_case_keeps_voxels_grid_and_what_is_known_of_it(store: CaseStore) -> None:
    ct = make_ct()
    info = store.accept(ct, make_label(ct), draft_model="m", draft_model_sha256="ab", note="second look")
    again = store.get(info.id)
    assert again == info and store.list() == [info]
    assert (again.id, again.use, again.draft_model, again.draft_model_sha256) == ("case-0001", "train", "m", "ab")
    version = again.latest
    assert (version.number, version.nodes, version.foreground_voxels, version.note) == (1, 2, 22, "second look")
    image, label = sitk.ReadImage(str(again.image_path)), sitk.ReadImage(str(again.label_path()))
    assert np.array_equal(sitk.GetArrayViewFromImage(image), sitk.GetArrayViewFromImage(ct))
    assert image.GetPixelID() == sitk.sitkInt16 and label.GetPixelID() == sitk.sitkUInt8
    for stored in (image, label):
        assert Geometry.of(stored).matches(Geometry.of(ct), tolerance_mm=1e-9)
    assert again.geometry == Geometry.of(ct)


def test_a_further_correction_is_a_new_version_and_the_old_one_stays(store: CaseStore) -> None:
    ct = make_ct()
    store.accept(ct, make_label(ct))
    before = store.get("case-0001").label_path(1).read_bytes()
    info = store.accept(ct, make_label(ct, shift=2))
    assert [version.number for version in info.versions] == [1, 2] and len(store.list()) == 1
    assert info.label_path(1).read_bytes() == before
    assert info.label_path().name == "label-0002.nrrd"
    with pytest.raises(UserError, match="no label version 3"):
        info.label_path(3)


def test_another_ct_is_another_case(store: CaseStore) -> None:
    for seed in range(3):
        ct = make_ct(seed)
        store.accept(ct, make_label(ct))
    assert [case.id for case in store.list()] == ["case-0001", "case-0002", "case-0003"]


def test_the_same_ct_in_another_axis_order_and_type_is_recognised(store: CaseStore) -> None:
    ct = make_ct()
    ct[3, 3, 3] = 0
    store.accept(ct, make_label(ct))
    expected = stored_label(store, "case-0001")
    as_float = sitk.Cast(ct, sitk.sitkFloat32)
    as_float[3, 3, 3] = -0.0
    turned = sitk.Flip(sitk.PermuteAxes(as_float, (2, 0, 1)), (True, False, True))
    label = sitk.Flip(sitk.PermuteAxes(make_label(ct), (2, 0, 1)), (True, False, True))
    found = store.find(turned)
    assert found is not None and found.id == "case-0001"
    info = store.accept(turned, label)
    assert (info.id, info.latest.number) == ("case-0001", 2)
    assert np.array_equal(stored_label(store, "case-0001"), expected)


def test_a_ct_that_is_not_that_of_the_case_is_refused(store: CaseStore) -> None:
    ct, other = make_ct(), make_ct(1)
    info = store.accept(ct, make_label(ct))
    with pytest.raises(UserError, match="not the CT of the case"):
        store.accept(other, make_label(other), case_id=info.id)
    moved = sitk.Image(ct)
    moved.SetSpacing((0.9, 0.8, 3.0))
    with pytest.raises(UserError, match="not the CT of the case"):
        store.accept(moved, make_label(moved), case_id=info.id)
    assert len(store.list()) == 1 and len(store.get(info.id).versions) == 1
    assert store.accept(ct, make_label(ct), case_id=info.id).latest.number == 2


def test_an_empty_label_needs_the_statement_that_there_are_no_nodes(store: CaseStore) -> None:
    ct = make_ct()
    empty = grid_of(ct, np.zeros(SIZE[::-1], np.uint8))
    with pytest.raises(UserError, match="empty"):
        store.accept(ct, empty)
    with pytest.raises(UserError, match="22 voxels"):
        store.accept(ct, make_label(ct), no_nodes=True)
    assert store.list() == []
    info = store.accept(ct, empty, no_nodes=True)
    assert info.latest.no_nodes and info.latest.nodes == 0


def test_what_is_no_ct_is_refused(store: CaseStore) -> None:
    flat = grid_of(make_ct(), np.zeros(SIZE[::-1], np.int16))
    with pytest.raises(UserError):
        store.accept(flat, make_label(flat))


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))])
def test_a_label_in_any_axis_order_is_mapped_voxel_by_voxel(order: tuple[int, int, int]) -> None:
    ct = make_ct()
    label = make_label(ct)
    expected = sitk.GetArrayFromImage(label)
    for flips in itertools.product((False, True), repeat=3):
        turned = sitk.Flip(sitk.PermuteAxes(label, order), flips)
        assert np.array_equal(label_on_grid(turned, Geometry.of(ct)), expected)


@settings(max_examples=40, deadline=None)
@given(
    lower=st.tuples(*[st.integers(-3, 2)] * 3), upper=st.tuples(*[st.integers(-2, 3)] * 3),
    noise=st.floats(-1e-5, 1e-5),
)
def test_a_cropped_or_padded_label_is_mapped_voxel_by_voxel(
    lower: tuple[int, ...], upper: tuple[int, ...], noise: float
) -> None:
    ct = make_ct()
    label = make_label(ct)
    pad = sitk.ConstantPad(label, [max(0, -n) for n in lower], [max(0, n) for n in upper], 0)
    part = sitk.Crop(pad, [max(0, n) for n in lower], [max(0, -n) for n in upper])
    part.SetOrigin([value + noise for value in part.GetOrigin()])
    kept = np.zeros(SIZE[::-1], bool)
    kept[tuple(slice(max(0, low), size + min(0, high)) for low, high, size in zip(lower, upper, SIZE))[::-1]] = True
    expected = sitk.GetArrayFromImage(label) * kept
    if part.GetSize() == SIZE and any(lower):
        # As many voxels as the CT, a whole number of them off: the header may be wrong.
        with pytest.raises(PlacementError, match="as many voxels as the CT"):
            label_on_grid(part, Geometry.of(ct))
    # The lengths of the CT in another order look like exchanged axes; some slices less with its origin can be any.
    is_short = not any(lower) and np.count_nonzero(upper) == 1
    placement: Placement = "own" if sorted(part.GetSize()) == sorted(SIZE) or is_short else "certain"
    assert np.array_equal(label_on_grid(part, Geometry.of(ct), placement=placement), expected)


def test_a_label_on_a_finer_grid_is_refused_or_resampled_to_the_nearest_voxel_when_asked() -> None:
    ct = make_ct()
    label = make_label(ct)
    fine = sitk.Expand(label, (2, 2, 2), sitk.sitkNearestNeighbor)
    with pytest.raises(PlacementError, match=r"24 x 20 x 16 voxels of 0\.45 x 0\.4 x 1\.25 mm; the CT has 12 x 10 x 8"):
        label_on_grid(fine, Geometry.of(ct))
    assert np.array_equal(label_on_grid(fine, Geometry.of(ct), placement="own"), sitk.GetArrayFromImage(label))


def test_a_label_of_which_a_voxel_lies_outside_the_ct_is_refused() -> None:
    ct = make_ct()
    label = sitk.ConstantPad(make_label(ct), (2, 0, 0), (0, 0, 0), 0)
    label[0, 4, 4] = 1
    with pytest.raises(UserError, match="1 of its 23 labelled voxels lie outside"):
        label_on_grid(label, Geometry.of(ct))
    label.SetSpacing((1.1, 0.8, 2.5))
    with pytest.raises(UserError, match="lie outside"):
        label_on_grid(label, Geometry.of(ct))


def test_a_label_elsewhere_is_refused_even_when_it_is_empty(store: CaseStore) -> None:
    ct = make_ct()
    for label in (make_label(ct), grid_of(ct, np.zeros(SIZE[::-1], np.uint8))):
        label.SetOrigin((500.0, 500.0, -900.0))
        with pytest.raises(UserError, match="do not overlap"):
            store.accept(ct, label, no_nodes=not sitk.GetArrayViewFromImage(label).any())


@pytest.mark.parametrize(
    ("label", "text"),
    [
        (sitk.Image(12, 10, sitk.sitkUInt8), "3D volume"),
        (sitk.Image([12, 10, 8], sitk.sitkVectorUInt8, 2), "scalar"),
        (sitk.GetImageFromArray(np.full((8, 10, 12), 0.5, np.float32)), "not whole"),
        (sitk.GetImageFromArray(np.full((8, 10, 12), np.nan, np.float32)), "NaN"),
    ],
)
def test_what_is_no_label_image_is_refused(label: sitk.Image, text: str) -> None:
    with pytest.raises(UserError, match=text):
        label_on_grid(label, Geometry.of(make_ct()))


def test_every_label_but_0_counts_as_lymph_node_also_in_a_float_image() -> None:
    ct = make_ct()
    many = sitk.GetArrayFromImage(make_label(ct)).astype(np.float32)
    many[6] *= 7
    assert np.array_equal(label_on_grid(grid_of(ct, many), Geometry.of(ct)), many != 0)


def test_the_use_of_a_case_can_be_changed_and_is_checked(store: CaseStore) -> None:
    ct = make_ct()
    info = store.accept(ct, make_label(ct))
    for use in ("holdout", "excluded", "train"):
        assert store.set_use(info.id, use).use == use == store.get(info.id).use
    with pytest.raises(UserError, match="Unknown use"):
        store.set_use(info.id, "test")
    with pytest.raises(UserError, match="no case"):
        store.set_use("case-0009", "train")
    with pytest.raises(UserError, match="no case"):
        store.get("../cases/case-0001")


def test_a_partial_correction_can_be_learned_from_but_not_measured_on(store: CaseStore) -> None:
    ct = make_ct()
    label = make_label(ct)
    label[:, :, :2] = 9
    info = store.accept(ct, label, ignore=9)
    assert info.latest.partial and info.is_partial(1)
    assert info.latest.nodes == store.accept(ct, make_label(ct)).latest.nodes
    array = stored_label(store, info.id, 1)
    assert set(np.unique(array[:2])) == {2} and 2 not in array[2:]
    store.set_use(info.id, "holdout")
    with pytest.raises(UserError, match="cannot be a hold-out case"):
        store.accept(ct, label, ignore=9)
    store.set_use(info.id, "train")
    store.accept(ct, label, ignore=9)
    with pytest.raises(UserError, match="cannot be a hold-out case"):
        store.set_use(info.id, "holdout")
    assert store.get(info.id).use == "train"


def test_what_a_smaller_partial_label_does_not_cover_was_not_looked_at(store: CaseStore) -> None:
    ct = make_ct()
    part = sitk.RegionOfInterest(make_label(ct), [10, 8, 6], [1, 1, 1])
    array = stored_label(store, store.accept(ct, part, ignore=9).id)
    inside = np.zeros(array.shape, bool)
    inside[1:7, 1:9, 1:11] = True
    assert np.all((array == 2) == ~inside)


def test_a_removed_case_can_be_restored_and_its_id_is_not_used_again(store: CaseStore) -> None:
    first, second = make_ct(), make_ct(1)
    info = store.accept(first, make_label(first))
    store.remove(info.id)
    assert store.list() == []
    assert store.accept(second, make_label(second)).id == "case-0002"
    assert store.restore(info.id) == info
    assert [case.id for case in store.list()] == ["case-0001", "case-0002"]
    with pytest.raises(UserError, match="no removed case"):
        store.restore("case-0002")


def test_unfinished_and_damaged_folders_do_not_hide_the_other_cases(store: CaseStore) -> None:
    ct = make_ct()
    info = store.accept(ct, make_label(ct))
    (store.root / "case-0007").mkdir()
    (store.root / "case-0008").mkdir()
    (store.root / "case-0008" / "case.json").write_text('{"created": "x"}')
    assert store.list() == [info]
    with pytest.raises(UserError, match="case-0008"):
        store.get("case-0008")
    other = make_ct(1)
    assert store.accept(other, make_label(other)).id == "case-0009"


def test_a_label_that_a_crash_left_behind_is_not_overwritten(store: CaseStore) -> None:
    ct = make_ct()
    info = store.accept(ct, make_label(ct))
    stray = info.path / "label-0002.nrrd"
    stray.write_bytes(b"left by a crash")
    again = store.accept(ct, make_label(ct, shift=1))
    assert [version.number for version in again.versions] == [1, 3]
    assert stray.read_bytes() == b"left by a crash"


def test_what_a_killed_process_left_half_done_is_cleared_away(store: CaseStore) -> None:
    rest = store.root / ".tmp-abcdef"
    rest.mkdir(parents=True)
    (rest / "image.nrrd").write_bytes(b"half a CT")
    ct = make_ct()
    store.accept(ct, make_label(ct))
    assert not rest.exists()


def test_a_failed_write_leaves_no_case(store: CaseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    ct = make_ct()
    monkeypatch.setattr("lnsegfm.cases.case_store.write_json", no_space)
    with pytest.raises(OSError, match="No space"):
        store.accept(ct, make_label(ct))
    assert store.list() == []
    assert [path.name for path in store.root.iterdir()] == [".locks"]


ACCEPT = """
import sys
from pathlib import Path
import numpy as np, SimpleITK as sitk
from lnsegfm.cases.case_store import CaseStore
store, ct = CaseStore(Path(sys.argv[1])), sitk.ReadImage(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for number in range(4):
    array = np.zeros(ct.GetSize()[::-1], np.uint8)
    array[int(sys.argv[3]), number, :] = 1
    label = sitk.GetImageFromArray(array)
    label.CopyInformation(ct)
    store.accept(ct, label)
"""


def test_versions_that_two_processes_accept_at_once_all_survive(store: CaseStore, tmp_path: Path) -> None:
    ct_file = str(tmp_path / "ct.nrrd")
    sitk.WriteImage(make_ct(), ct_file)
    both = [
        subprocess.Popen(
            [sys.executable, "-c", ACCEPT, str(store.root), ct_file, str(row)], env=child_environment(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for row in (1, 5)
    ]
    for process in both:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in both:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in both:
        process.communicate()
        assert process.returncode == 0
    (info,) = store.list()
    assert [version.number for version in info.versions] == list(range(1, 9))
    found = {tuple(np.argwhere(stored_label(store, info.id, n))[0][:2]) for n in range(1, 9)}
    assert found == set(itertools.product((1, 5), range(4)))


def test_nothing_of_a_patient_is_stored(store: CaseStore, tmp_path: Path) -> None:
    ct = make_ct()
    secrets = {"0010|0010": "DOE^JANE", "0010|0020": "MRN-4711", "0008|0020": "20240229", "ITK_FileNotes": "Jane Doe"}
    label = make_label(ct)
    for key, value in secrets.items():
        ct.SetMetaData(key, value)
        label.SetMetaData(key, value)
    folder = tmp_path / "nnUNet_raw"
    for sub, image, name in (("imagesTr", make_ct(1), "DOE_JANE_0000"), ("labelsTr", make_label(ct), "DOE_JANE")):
        (folder / sub).mkdir(parents=True)
        sitk.WriteImage(image, str(folder / sub / f"{name}.nrrd"))
    store.accept(ct, label)
    assert import_folder(store, folder).imported == ["case-0002"]
    for path in store.root.rglob("*"):
        content = (path.name.encode() + (path.read_bytes() if path.is_file() else b"")).lower()
        for secret in (*secrets.values(), "doe_jane", str(folder)):
            assert secret.lower().encode() not in content, f"{secret} in {path}"


def test_case_json_is_readable_by_people(store: CaseStore) -> None:
    ct = make_ct()
    info = store.accept(ct, make_label(ct))
    values = json.loads((info.path / "case.json").read_text(encoding="utf-8"))
    assert values["geometry"]["size"] == list(SIZE) and values["versions"][0]["nodes"] == 2


def test_a_correction_is_compared_with_the_draft_it_came_from(store: CaseStore) -> None:
    ct = make_ct()
    label, half = make_label(ct), make_label(ct)
    half[:, :, 6] = 0
    assert store.accept(ct, label).latest.draft_dice is None
    assert store.accept(ct, label, draft_label=label).latest.draft_dice == 1.0
    partly = store.accept(ct, label, draft_label=half).latest.draft_dice
    assert partly == pytest.approx(2 * 18 / (22 + 18))
    assert store.list()[0].latest.draft_dice == partly


def test_the_draft_counts_only_where_somebody_looked(store: CaseStore) -> None:
    ct = make_ct()
    label, draft = make_label(ct), make_label(ct)
    label[:, :, 6:] = 9
    draft[:, :, 7] = 1
    assert store.accept(ct, label, ignore=9, draft_label=draft).latest.draft_dice == 1.0


def test_only_a_removed_case_can_be_forgotten(store: CaseStore) -> None:
    ct = make_ct()
    case = store.accept(ct, make_label(ct))
    with pytest.raises(UserError, match="no removed case"):
        store.forget(case.id)
    store.remove(case.id)
    store.forget(case.id)
    with pytest.raises(UserError, match="no removed case"):
        store.restore(case.id)
    assert store.accept(ct, make_label(ct)).id != case.id


def test_a_partial_case_is_no_reference_case(store: CaseStore) -> None:
    ct = make_ct()
    label = make_label(ct)
    label[:, :, :2] = 9
    info = store.accept(ct, label, ignore=9)
    with pytest.raises(UserError, match="cannot be a reference case"):
        store.set_use(info.id, "reference")
