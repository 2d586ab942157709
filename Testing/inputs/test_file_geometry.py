"""Where the voxels of a file lie: by its header, or refused or said where that lacks or contradicts something."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from made_scan import ORIGIN, SIZE, SPACING, image, rod_of, scan

from lnsegfm.base.errors import UserError
from lnsegfm.images.geometry import Geometry
from lnsegfm.images.grids import canonical_spacing
from lnsegfm.inputs.reading import read_ct

# Bytes of a NIfTI-1 header.
PIXDIM, CODES, SFORM = 76, 252, 280
RAS_AFFINE = np.array([
    [-SPACING[0], 0, 0, -ORIGIN[0]], [0, -SPACING[1], 0, -ORIGIN[1]], [0, 0, SPACING[2], ORIGIN[2]], [0, 0, 0, 1],
])


def nifti(path: Path, sform: np.ndarray | None, qform: np.ndarray | None, codes: tuple[int, int] = (1, 1)) -> Path:
    """Write the scan with these forms (RAS) and codes (sform, qform)."""
    made = nibabel.Nifti1Image(scan()[0].T, None)
    made.header.set_zooms(SPACING)
    if qform is not None:
        made.set_qform(qform, codes[1])
    if sform is not None:
        made.set_sform(sform, codes[0])
    nibabel.save(made, path)
    return path


def patch(path: Path, offset: int, layout: str, *numbers: float) -> Path:
    content = bytearray(path.read_bytes())
    struct.pack_into(layout, content, offset, *numbers)
    path.write_bytes(content)
    return path


def read(path: Path) -> tuple[sitk.Image, list[str]]:
    warnings: list[str] = []
    return read_ct(path, warnings=warnings), warnings


def check_sound(ct: sitk.Image) -> None:
    assert Geometry.of(ct).matches(Geometry.of(image(scan()[0])), tolerance_mm=1e-3)
    assert np.array_equal(sitk.GetArrayFromImage(ct), scan()[0])


# NIfTI


@pytest.mark.parametrize("codes", [(0, 1), (1, 0), (2, 0), (4, 0), (1, 1), (2, 1), (4, 2)])
def test_forms_that_agree_are_read_without_a_word(tmp_path: Path, codes: tuple[int, int]) -> None:
    path = nifti(tmp_path / "ct.nii", RAS_AFFINE if codes[0] else None, RAS_AFFINE if codes[1] else None, codes)
    ct, warnings = read(path)
    check_sound(ct)
    assert warnings == []


@pytest.mark.parametrize("codes", [(1, 1), (2, 1), (4, 2), (1, 2)])
def test_forms_that_are_mirror_images_are_refused(tmp_path: Path, codes: tuple[int, int]) -> None:
    mirrored = RAS_AFFINE.copy()
    mirrored[0] *= -1
    with pytest.raises(UserError, match=r"contradicts itself.*sform.*qform.*left and right"):
        read_ct(nifti(tmp_path / "ct.nii", mirrored, RAS_AFFINE, codes))


@pytest.mark.parametrize(("codes", "taken"), [((1, 1), "sform"), ((2, 1), "qform"), ((4, 2), "qform")])
def test_forms_that_disagree_by_a_shift_are_said_with_what_was_taken(
    tmp_path: Path, codes: tuple[int, int], taken: str
) -> None:
    shifted = RAS_AFFINE.copy()
    shifted[1, 3] += 7
    ct, warnings = read(nifti(tmp_path / "ct.nii", shifted, RAS_AFFINE, codes))
    assert any("disagree by up to 7.0 mm" in text and f"the {taken} was taken" in text for text in warnings)
    assert ct.GetOrigin()[1] == pytest.approx(ORIGIN[1] - (7 if taken == "sform" else 0))


def test_no_code_at_all_is_said_with_what_was_taken(tmp_path: Path) -> None:
    ct, warnings = read(patch(nifti(tmp_path / "ct.nii", RAS_AFFINE, None), CODES, "<2h", 0, 0))
    assert any("does not say how the patient lies" in text and "to the patient's left" in text for text in warnings)
    assert ct.GetSpacing() == SPACING and ct.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)


@pytest.mark.parametrize("value", [0.0, -3.0, float("nan")])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_missing_spacing_is_refused(tmp_path: Path, value: float, axis: int) -> None:
    path = patch(nifti(tmp_path / "ct.nii", None, RAS_AFFINE), PIXDIM + 4 * (axis + 1), "<f", value)
    with pytest.raises(UserError, match=rf"pixdim\[{axis + 1}\]"):
        read_ct(patch(path, CODES, "<2h", 0, 0))


def test_a_spacing_that_only_the_sform_has_is_said(tmp_path: Path) -> None:
    path = patch(nifti(tmp_path / "ct.nii", RAS_AFFINE, None), PIXDIM + 12, "<f", 0.0)
    ct, warnings = read(path)
    check_sound(ct)
    assert any("that of the sform was taken" in text for text in warnings)


def test_two_spacings_are_refused(tmp_path: Path) -> None:
    path = patch(nifti(tmp_path / "ct.nii", RAS_AFFINE, None), PIXDIM + 12, "<f", 5.0)
    with pytest.raises(UserError, match=r"2 x 2\.5 x 5 mm apart by pixdim, but 2 x 2\.5 x 3 mm by the sform"):
        read_ct(path)


@settings(max_examples=25, deadline=None)
@given(
    lean=st.floats(5e-5, 9e-4), pair=st.sampled_from([(0, 1), (1, 0), (0, 2), (2, 1)]),
    turn=st.floats(-3, 3), sign=st.sampled_from([-1, 1]),
)
def test_slightly_sheared_sforms_are_read_on_the_nearest_grid_and_said(
    tmp_path_factory: pytest.TempPathFactory, lean: float, pair: tuple[int, int], turn: float, sign: int
) -> None:
    turned = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    steps = turned @ RAS_AFFINE[:3, :3]
    onto, of = pair
    steps[:, of] += sign * lean * steps[:, onto] / np.linalg.norm(steps[:, onto]) * np.linalg.norm(steps[:, of])
    sheared = RAS_AFFINE.copy()
    sheared[:3, :3] = steps
    ct, warnings = read(nifti(tmp_path_factory.mktemp("n") / "ct.nii", sheared, None))
    assert any("slightly sheared" in text for text in warnings)
    assert rod_of(ct) == [10.0 * number for number in range(SIZE[2])]
    assert ct.GetSpacing() == pytest.approx(SPACING, abs=1e-4)
    indices = np.array([[0, 0, 0], [SIZE[0] - 1, SIZE[1] - 1, SIZE[2] - 1], [SIZE[0] - 1, 0, 0], [0, 0, SIZE[2] - 1]])
    wanted = (indices @ sheared[:3, :3].T + sheared[:3, 3]) * (-1, -1, 1)
    # Half of the lean over half of the longest way.
    assert np.linalg.norm(Geometry.of(ct).positions(indices) - wanted, axis=1).max() < lean * 60
    axes = np.reshape(ct.GetDirection(), (3, 3))
    assert np.abs(axes.T @ axes - np.eye(3)).max() < 1e-9


@pytest.mark.parametrize("factor", [0.0, 5.0])
def test_any_qfac_is_read(tmp_path: Path, factor: float) -> None:
    ct, warnings = read(patch(nifti(tmp_path / "ct.nii", None, RAS_AFFINE), PIXDIM, "<f", factor))
    check_sound(ct)
    assert warnings == []


def test_extensions_that_a_header_only_announces_are_not_looked_for(tmp_path: Path) -> None:
    path = nifti(tmp_path / "ct.nii", RAS_AFFINE, None)
    content = bytearray(path.read_bytes())
    # An extension of a negative length before the voxels, which begin where they did.
    content[348:352] = b"\1\0\0\0"
    content[352:352] = struct.pack("<ii", -16, 6) + bytes(8)
    struct.pack_into("<f", content, 108, 368.0)
    path.write_bytes(content)
    try:
        ct, _ = read(path)
    except UserError as error:
        assert "ct.nii" in str(error)
    else:
        check_sound(ct)


def test_forms_of_which_one_has_parallel_axes_are_refused_in_words(tmp_path: Path) -> None:
    flat = RAS_AFFINE.copy()
    flat[:3, 2] = flat[:3, 0] * (SPACING[2] / SPACING[0]) + (0, 0, 1e-20)
    path = patch(nifti(tmp_path / "ct.nii", RAS_AFFINE, RAS_AFFINE), SFORM, "<12f", *flat[:3].ravel())
    with pytest.raises(UserError, match=r"ct\.nii|sheared"):
        read(path)


def test_a_form_that_is_none_is_replaced_by_the_other_or_refused(tmp_path: Path) -> None:
    too_long = (256, "<3f", 0.0, 0.0, 1.001)
    both = patch(nifti(tmp_path / "both.nii", RAS_AFFINE, RAS_AFFINE), *too_long)
    ct, warnings = read(both)
    check_sound(ct)
    assert warnings == ["The qform of 'both.nii' is no rotation; the sform was taken."]
    with pytest.raises(UserError, match="its qform is no rotation"):
        read_ct(patch(nifti(tmp_path / "one.nii", None, RAS_AFFINE), *too_long))
    empty = patch(nifti(tmp_path / "empty.nii", RAS_AFFINE, RAS_AFFINE), SFORM, "<12f", *[0.0] * 12)
    ct, warnings = read(empty)
    check_sound(ct)
    assert warnings == ["The sform of 'empty.nii' is no grid; the qform was taken."]
    with pytest.raises(UserError, match="its sform is no grid"):
        read_ct(patch(nifti(tmp_path / "nan.nii", RAS_AFFINE, None), SFORM + 12, "<f", float("nan")))


def test_more_shear_is_refused(tmp_path: Path) -> None:
    sheared = RAS_AFFINE.copy()
    sheared[0, 1] = 3e-3 * SPACING[1]
    with pytest.raises(UserError, match="sheared"):
        read_ct(nifti(tmp_path / "ct.nii", sheared, None))


# NRRD and MetaImage


def nrrd(path: Path, *lines: str, sizes: Sequence[int] = SIZE) -> Path:
    header = ["NRRD0004", "type: short", f"dimension: {len(sizes)}", f"sizes: {' '.join(map(str, sizes))}"]
    text = "\n".join([*header, "endian: little", "encoding: raw", *lines]) + "\n\n"
    path.write_bytes(text.encode() + scan()[0].astype("<i2").tobytes())
    return path


DIRECTIONS = "space directions: (2,0,0) (0,2.5,0) (0,0,3)"


def test_an_nrrd_without_spacing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="how far its voxels lie apart"):
        read_ct(nrrd(tmp_path / "ct.nrrd"))
    with pytest.raises(UserError, match="how far its voxels lie apart"):
        read_ct(nrrd(tmp_path / "nan.nrrd", "spacings: 2 2.5 nan"))


def test_an_nrrd_that_tells_no_orientation_is_said(tmp_path: Path) -> None:
    ct, warnings = read(nrrd(tmp_path / "ct.nrrd", "spacings: 2 2.5 3"))
    assert ct.GetSpacing() == SPACING and any("does not say how the patient lies" in text for text in warnings)
    _, warnings = read(nrrd(tmp_path / "unnamed.nrrd", "space dimension: 3", DIRECTIONS))
    assert any("does not name the space" in text for text in warnings)


def test_an_nrrd_in_other_units_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not in mm"):
        read_ct(nrrd(tmp_path / "ct.nrrd", "space: left-posterior-superior", 'space units: "cm" "cm" "cm"', DIRECTIONS))


@pytest.mark.parametrize("last", [False, True])
def test_a_list_axis_of_one_is_dropped(tmp_path: Path, last: bool) -> None:
    directions = DIRECTIONS.replace(": ", ": none ") if not last else f"{DIRECTIONS} none"
    sizes = (1, *SIZE) if not last else (*SIZE, 1)
    kinds = "kinds: list domain domain domain" if not last else "kinds: domain domain domain list"
    place = f"space origin: ({','.join(map(str, ORIGIN))})"
    ct, _ = read(nrrd(tmp_path / "ct.nrrd", "space: left-posterior-superior", directions, kinds, place, sizes=sizes))
    check_sound(ct)


@pytest.mark.parametrize(
    ("old", "new", "refused", "said"),
    [
        (b"ElementSpacing = 2 2.5 3\n", b"", "how far its voxels lie apart", ""),
        (b"TransformMatrix = 1 0 0 0 1 0 0 0 1\n", b"", "", "does not say how the patient lies"),
        (b"NDims = 3\n", b"NDims = 3\nElementToIntensityFunctionSlope = 2\n", "rescale", ""),
        (b"ElementSpacing = 2 2.5 3\n", b"ElementSpacing = 2 2.5 0\n", "ElementSpacing is 2 2.5 0", ""),
        (b"NDims = 3\n", b"NDims = 3\nDistanceUnits = cm\n", "not in mm", ""),
        (b"NDims = 3\n", b"NDims = 3\nElementSpacing = 2 2.5 4\n", "says 'elementspacing' twice", ""),
        (b"TransformMatrix = 1 0 0 0 1 0 0 0 1\n", b"TransformMatrix = 2 0 0 0 2 0 0 0 3\n", "no unit vectors", ""),
        (b"Offset = -39 -44 -120\n", b"", "", "does not say where its first voxel lies"),
        (b"Offset = -39 -44 -120\n", b"Offset = nan 0 0\n", "Offset is nan", ""),
    ],
)
def test_what_a_metaimage_lacks(tmp_path: Path, old: bytes, new: bytes, refused: str, said: str) -> None:
    path = tmp_path / "ct.mha"
    sitk.WriteImage(image(scan()[0]), str(path))
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))
    if refused:
        with pytest.raises(UserError, match=refused):
            read_ct(path)
    else:
        assert any(said in text for text in read(path)[1])


@pytest.mark.parametrize(
    ("lines", "refused"),
    [
        (["space: LPS", "space directions: (2,0,0) (0,2.5,0) none"], "how far its voxels lie apart"),
        (["space: LPS", DIRECTIONS, "space origin: (nan,nan,nan)"], "where its first voxel lies"),
        (["spacings: 0.2 0.25 0.3", 'units: "cm" "cm" "cm"'], "not in mm"),
        (["spacings: 2 2.5 300"], "missing or not possible"),
    ],
)
def test_what_an_nrrd_lacks(tmp_path: Path, lines: list[str], refused: str) -> None:
    with pytest.raises(UserError, match=refused):
        read_ct(nrrd(tmp_path / "ct.nrrd", *lines))


def test_a_missing_position_is_said(tmp_path: Path) -> None:
    _, warnings = read(nrrd(tmp_path / "ct.nrrd", "space: left-posterior-superior", DIRECTIONS))
    assert warnings == ["'ct.nrrd' does not say where its first voxel lies; it was taken to lie at 0, 0, 0 mm."]


# One scan, one answer


@given(st.integers(1, 99_999), st.sampled_from([10, 100, 1000, 10_000]))
def test_spacings_have_one_precision(number: int, parts: int) -> None:
    length = number / parts
    noisy = [float(np.float32(length)), length * (1 + 1e-15), float(np.linalg.norm([length * 0.6, length * 0.8]))]
    assert canonical_spacing(noisy) == (length,) * 3


@settings(max_examples=30, deadline=None)
@given(
    spacing=st.sampled_from([(0.8, 0.8, 2.4), (0.7, 0.7, 2.1), (1.0, 1.0, 3.0), (0.9765625, 0.9765625, 2.9296875)]),
    angles=st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
    suffixes=st.permutations([".nrrd", ".nii.gz", ".mha", ".nii"]),
)
def test_a_scan_has_the_same_spacing_from_every_format_and_rotation(
    tmp_path_factory: pytest.TempPathFactory, spacing: tuple[float, float, float], angles: tuple[float, float],
    suffixes: list[str],
) -> None:
    folder = tmp_path_factory.mktemp("formats")
    transform = sitk.Euler3DTransform()
    transform.SetRotation(*angles, 0.3)
    made = image(scan()[0], spacing)
    made.SetDirection(transform.GetMatrix())
    for suffix in suffixes:
        sitk.WriteImage(made, str(folder / f"ct{suffix}"))
        assert read_ct(folder / f"ct{suffix}").GetSpacing() == spacing
