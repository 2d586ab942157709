"""The values of DICOM slices in HU, each with its own rescale."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk

from lnsegfm.base.errors import UserError
from lnsegfm.base.failures import reason
from lnsegfm.base.wording import by
from lnsegfm.dicom.compressed_frames import stream_size
from lnsegfm.dicom.headers import DicomImage, Rescale, Slice, check_deflated, damaged_file, transfer_syntax
from lnsegfm.dicom.stacking import refused
from lnsegfm.formats.announced_size import check_fits
from lnsegfm.formats.given_files import check_name, open_given

_VOXEL_BYTES = 2
_NO_RESCALE = Rescale(1.0, 0.0)
# JPEG, JPEG-LS and JPEG 2000 in all their kinds; their streams all end with the same two bytes.
_JPEG, _END_OF_IMAGE = "1.2.840.10008.1.2.4.", b"\xff\xd9"


def check_rescale(slices: Sequence[Slice], has_table: bool, notes: list[str]) -> None:
    """Check that the values of all slices can be brought to HU in the same way.

    Args:
        slices: Of one volume.
        has_table: Whether Modality LUTs take the place of the rescale.
        notes: Gets a text where the values may be other than HU.

    Raises:
        UserError: Some slices have a rescale and others have none, or their units differ.
    """
    if has_table:
        return
    lacking = [each for each in slices if each.rescale is None]
    if lacking and len(lacking) < len(slices):
        raise refused(
            f"{len(lacking)} of {len(slices)} slices have no RescaleSlope and RescaleIntercept, first "
            f"{lacking[0].path.name}; their values cannot be brought to HU.",
            "Export the original series again.",
        )
    if lacking:
        notes.append("The series has no RescaleSlope and RescaleIntercept; its values were taken as HU.")
        return
    rescales = [each.rescale for each in slices if each.rescale is not None]
    odd = next((each for each in slices if each.rescale is not None and not _is_possible(each.rescale)), None)
    if odd is not None:
        raise refused(
            f"The rescale of {odd.path.name} is not possible: its slope is 0 or not a number.",
            "Export the original series again.",
        )
    kinds = sorted({each.kind or "HU" for each in rescales})
    if len(kinds) > 1:
        raise refused(
            f"Its slices have values in different units: RescaleType is {' and '.join(kinds)}.",
            "Remove the images that do not belong to the volume.",
        )
    if kinds[0] not in ("HU", "HU_MOD"):
        notes.append(f"The series' RescaleType is {kinds[0]}, not HU; its values were taken as HU.")


def read_values(ordered: Sequence[Slice], images: dict[Path, DicomImage]) -> np.ndarray:
    """Return the values of slices in HU, shape (slices, rows, columns): int16 where they are whole and fit.

    Args:
        ordered: The slices, in the order of the volume.
        images: The headers of their files.

    Raises:
        UserError: A file cannot be decoded, or has too little pixel data.
    """
    damaged = next((images[each.path] for each in ordered if images[each.path].damage), None)
    if damaged is not None:
        raise damaged_file(damaged.path, damaged.damage)
    columns, rows = ordered[0].size
    check_fits(ordered[0].path.parent, (columns, rows, len(ordered)), _VOXEL_BYTES)
    volume = np.empty((len(ordered), rows, columns), np.int16)
    last: tuple[Path, np.ndarray] | None = None
    for number, each in enumerate(ordered):
        if last is None or last[0] != each.path:
            last = each.path, _file_values(images[each.path])
        plane = last[1][each.frame]
        if volume.dtype == np.int16 and not _fits(plane):
            volume = volume.astype(np.float32)
        volume[number] = plane
    return volume


def _file_values(image: DicomImage) -> np.ndarray:
    """Return the HU of a file, shape (frames, rows, columns)."""
    values = _decompressed(image) if image.encapsulated else _plain(image)
    columns, rows = image.slices[0].size
    if values.shape != (len(image.slices), rows, columns):
        raise damaged_file(image.path, f"Its pixel data has the shape {values.shape}, not that of its header.")
    return values


def _plain(image: DicomImage) -> np.ndarray:
    try:
        dataset = _read(image.path)
        if "TransferSyntaxUID" not in dataset.file_meta:
            dataset.file_meta.TransferSyntaxUID = transfer_syntax(dataset)
        columns, rows = image.slices[0].size
        stored = _in_used_bits(dataset.pixel_array, dataset).reshape(-1, rows, columns)
    except UserError:
        raise
    except Exception as error:  # pydicom raises errors of many kinds for what is damaged
        raise damaged_file(image.path, f"Its pixels cannot be decoded ({reason(error)}).") from error
    if len(stored) != len(image.slices):
        raise damaged_file(
            image.path, f"It has the pixels of {len(stored)} slices, and its header announces {len(image.slices)}."
        )
    if image.has_table:
        return _by_table(stored, dataset)
    rescales = [each.rescale or _NO_RESCALE for each in image.slices]
    return np.stack([_in_hu(plane, rescale) for plane, rescale in zip(stored, rescales, strict=True)])


def _read(path: Path) -> pydicom.Dataset:
    with open_given(path) as stream:
        check_deflated(path, stream)
        return pydicom.dcmread(stream, force=True)


def _in_used_bits(values: np.ndarray, dataset: pydicom.Dataset) -> np.ndarray:
    """Return stored values without what old scanners keep in the bits above them, such as overlays."""
    allocated, used = int(dataset.BitsAllocated), int(dataset.BitsStored)
    if used >= allocated or values.dtype.kind not in "iu":
        return values
    wide = values.astype(np.int64) & ((1 << used) - 1)
    if int(dataset.get("PixelRepresentation") or 0):
        wide -= (wide >> (used - 1)) << used
    return wide.astype(np.int32)


def _by_table(stored: np.ndarray, dataset: pydicom.Dataset) -> np.ndarray:
    try:
        from pydicom.pixels import apply_modality_lut
    except ImportError:  # before pydicom 3
        from pydicom.pixel_data_handlers.util import apply_modality_lut  # type: ignore[no-redef]

    found: np.ndarray = apply_modality_lut(stored, dataset)
    return found


def _in_hu(plane: np.ndarray, rescale: Rescale) -> np.ndarray:
    if rescale.slope.is_integer() and rescale.intercept.is_integer():
        return np.asarray(plane.astype(np.int64) * int(rescale.slope) + int(rescale.intercept))
    return np.asarray(plane * rescale.slope + rescale.intercept)


def _decompressed(image: DicomImage) -> np.ndarray:
    """Decode with GDCM, which applies one rescale to the whole file."""
    rescales = {each.rescale for each in image.slices}
    if len(rescales) > 1 or image.has_table:
        raise refused(
            f"The compressed file {image.path.name} rescales its values by a table, or by frame.",
            "Export the series again, uncompressed.",
        )
    _check_ends(image)
    check_name(image.path)
    try:
        return sitk.GetArrayFromImage(sitk.ReadImage(str(image.path), imageIO="GDCMImageIO"))
    except RuntimeError as error:
        raise damaged_file(image.path, f"Its compressed pixels cannot be decoded ({reason(error)}).") from error


def _check_ends(image: DicomImage) -> None:
    """Refuse JPEG streams that are cut short, which decoders fill up, or of another size than the header announces."""
    try:
        dataset = _read(image.path)
        if not transfer_syntax(dataset).startswith(_JPEG):
            return
        frames = list(_frames(dataset.PixelData, len(image.slices)))
    except UserError:
        raise
    except Exception as error:  # pydicom raises errors of many kinds for what is damaged
        raise damaged_file(image.path, f"Its compressed pixels are damaged ({reason(error)}).") from error
    whole = [frame.rstrip(b"\0").endswith(_END_OF_IMAGE) for frame in frames]
    if len(whole) != len(image.slices) or not all(whole):
        raise damaged_file(image.path, "Its compressed pixels end too early.")
    sizes = {size for size in map(stream_size, frames) if size is not None}
    if sizes - {image.slices[0].size}:
        columns, rows = next(iter(sizes - {image.slices[0].size}))
        raise damaged_file(
            image.path, f"Its compressed pixels are {columns} x {rows}, and its header announces "
            f"{by(image.slices[0].size)}.",
        )  # fmt: skip


def _frames(data: bytes, count: int) -> Iterator[bytes]:
    try:
        from pydicom.encaps import generate_frames
    except ImportError:  # before pydicom 3
        from pydicom.encaps import generate_pixel_data_frame as generate_frames  # type: ignore[no-redef]
    return generate_frames(data, number_of_frames=count) if count > 1 else iter([b"".join(_fragments(data))])


def _fragments(data: bytes) -> Iterator[bytes]:
    """Yield the items of encapsulated pixel data behind the offset table."""
    at = 8 + int.from_bytes(data[4:8], "little")
    while at + 8 <= len(data) and data[at : at + 4] == b"\xfe\xff\x00\xe0":
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at + 8 : at + 8 + length]
        at += 8 + length


def _fits(plane: np.ndarray) -> bool:
    limits = np.iinfo(np.int16)
    return bool(plane.dtype.kind in "iu" and plane.min() >= limits.min and plane.max() <= limits.max)


def _is_possible(rescale: Rescale) -> bool:
    return bool(np.isfinite([rescale.slope, rescale.intercept]).all() and rescale.slope)
