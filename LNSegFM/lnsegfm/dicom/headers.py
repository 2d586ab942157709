"""What the header of a DICOM image says of each of its slices, be they one to a file or many (enhanced CT)."""

from __future__ import annotations

import math
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import UID, ImplicitVRLittleEndian

from lnsegfm.base.errors import UserError
from lnsegfm.base.wording import printable
from lnsegfm.formats.announced_size import check_fits
from lnsegfm.formats.file_formats import is_dicom
from lnsegfm.formats.given_files import open_given

_PIXEL_GROUP = 0x7FE0
_NO_LENGTH = 0xFFFFFFFF
_ITEM_BYTES, _VOXEL_BYTES, _BLOCK, _MOST_FRAMES = 8, 2, 1 << 20, 65_535
# Its data set is compressed as a whole, and pydicom inflates it however large it becomes.
_DEFLATED, _META_BYTES, _META_START = b"1.2.840.10008.1.2.1.99", 1 << 14, 132
# What archives and viewers leave beside the slices; anything else that is no DICOM file is named.
_OTHER_FILES = (
    ".txt", ".md", ".json", ".xml", ".csv", ".html", ".htm", ".pdf", ".jpg", ".jpeg", ".png", ".gif", ".ini", ".inf",
    ".db", ".exe", ".zip", ".nii", ".gz", ".nrrd", ".mha", ".mhd", ".raw", ".md5", ".log",
)  # fmt: skip
DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
_CT_IMAGES = {"1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2"}


@dataclass(frozen=True)
class Rescale:
    """How stored values become HU: value * slope + intercept."""

    slope: float
    intercept: float
    kind: str = ""


@dataclass(frozen=True, eq=False)
class Slice:
    """One slice of a volume; vectors are LPS, lengths in mm.

    Args:
        path: Its file.
        frame: Its number in the file, from 0.
        size: Columns and rows.
        spacing: Distance of the columns and of the rows; None where it is missing.
        position: Centre of the first voxel; None where it is missing or unreadable, as the two others.
        axes: Unit vectors along a row and along a column, shape (2, 3); None where they are missing.
        rescale: None where there is none.
    """

    path: Path
    frame: int
    size: tuple[int, int]
    spacing: tuple[float, float] | None
    position: np.ndarray | None
    axes: np.ndarray | None
    rescale: Rescale | None


@dataclass(frozen=True, eq=False)
class DicomImage:
    """One DICOM file with an image.

    Args:
        path: The file.
        series: Series Instance UID; empty where it was removed.
        modality: As CT; may be empty.
        description: Of the series.
        photometric: Photometric interpretation.
        colours: Samples per pixel.
        slices: One by frame.
        encapsulated: Whether the pixels are compressed.
        has_table: Whether a Modality LUT takes the place of the rescale.
        damage: Why its pixels cannot be right; empty where nothing speaks against them.
        identity: Patient, study and frame of reference, each empty where it was removed; never shown.
        kinds: What may differ without doing harm, but is told: convolution kernel and image type.
    """

    path: Path
    series: str
    modality: str
    description: str
    photometric: str
    colours: int
    slices: tuple[Slice, ...]
    encapsulated: bool
    has_table: bool
    damage: str
    identity: tuple[str, ...] = ("", "", "")
    kinds: tuple[str, str] = ("", "")


def read_header(path: Path) -> DicomImage | None:
    """Read the header of a file.

    Returns:
        None for what is no DICOM file, and for DICOM objects without an image, such as an RTSTRUCT or a DICOMDIR.

    Raises:
        UserError: A DICOM file that ends within its header or is damaged otherwise, or that may not be opened.
    """
    if not is_dicom(path):
        return None
    try:
        with open_given(path) as stream:
            check_deflated(path, stream)
            # It stops before the pixels, which may be hundreds of megabytes.
            dataset = pydicom.dcmread(stream, force=True, stop_before_pixels=True)
            pixels = _pixel_bytes(stream, transfer_syntax(dataset))
        kind = _object_kind(dataset)
        if "Rows" not in dataset or "Columns" not in dataset:
            if kind is None or kind in _CT_IMAGES:
                raise damaged_file(path, "It ends within its header, or is no DICOM image.")
            return None
        return _image(path, dataset, pixels)
    except UserError:
        raise
    except Exception as error:  # pydicom raises errors of many kinds for what is damaged
        raise damaged_file(path, f"Its header cannot be read ({error}).") from error


def check_deflated(path: Path, stream: BinaryIO) -> None:
    """Refuse a file that is compressed as a whole and inflates to more than the memory holds.

    Args:
        path: The file.
        stream: It, at its beginning; it is there again afterwards.

    Raises:
        UserError: It is, or its compression is damaged.
    """
    head = stream.read(_META_BYTES)
    at = head.find(_DEFLATED)
    if at >= 0:
        try:
            # The group 0002 says by its first element how long it is.
            length = int.from_bytes(head[_META_START + 8 : _META_START + 12], "little")
            stream.seek(_META_START + 12 + length)
            inflate, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
            while block := stream.read(_BLOCK):
                while part := inflate.decompress(block, _BLOCK):
                    size, block = size + len(part), inflate.unconsumed_tail
                    check_fits(path, (size,), 1)
        except zlib.error as error:
            raise damaged_file(path, f"Its compression is damaged ({error}).") from error
    stream.seek(0)


def is_foreign(path: Path) -> bool:
    """Tell whether a file's name says that it is no DICOM slice."""
    return path.suffix.lower() in _OTHER_FILES or path.name.upper() in ("DICOMDIR", "README", "LICENSE", "VERSION")


def damaged_file(path: Path, why: str) -> UserError:
    """Return the refusal of a file that may be a slice of the volume."""
    return UserError(
        f"The DICOM file {printable(path.name)} cannot be read.", why,
        "Copy or export the whole series again; if the file does not belong to it, move it out of the folder.",
    )


def _object_kind(dataset: Dataset) -> str | None:
    meta = getattr(dataset, "file_meta", None) or {}
    kind = dataset.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID")
    return str(kind) if kind else None


def _image(path: Path, dataset: Dataset, pixels: int | None) -> DicomImage:
    syntax = transfer_syntax(dataset)
    encapsulated = not syntax.is_private and syntax.is_compressed and not syntax.is_deflated
    packed = encapsulated or syntax.is_deflated
    frames = int(dataset.get("NumberOfFrames") or 1)
    # A compressed frame is an item, which takes 8 bytes at least.
    if not 1 <= frames <= _MOST_FRAMES or (encapsulated and frames * _ITEM_BYTES > (pixels or 0) + _ITEM_BYTES):
        raise damaged_file(path, f"Its header announces {frames} frames: more than its pixel data can hold.")
    check_fits(path, (int(dataset.Columns), int(dataset.Rows), frames), _VOXEL_BYTES)
    return DicomImage(
        path=path, series=str(dataset.get("SeriesInstanceUID", "")), modality=str(dataset.get("Modality", "")),
        description=str(dataset.get("SeriesDescription", "")),
        photometric=str(dataset.get("PhotometricInterpretation", "")).strip(),
        colours=int(dataset.get("SamplesPerPixel") or 1),
        slices=tuple(_slice(path, dataset, number) for number in range(frames)),
        encapsulated=encapsulated, has_table="ModalityLUTSequence" in dataset,
        damage=_odd_bits(dataset) or ("" if packed else _damage(dataset, frames, pixels)),
        identity=tuple(_text(dataset, name) for name in ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID")),
        kinds=(_text(dataset, "ConvolutionKernel"), _text(dataset, "ImageType")),
    )


def _slice(path: Path, dataset: Dataset, number: int) -> Slice:
    spacing = _numbers(_group(dataset, number, "PixelMeasuresSequence").get("PixelSpacing"), 2)
    position = _numbers(_group(dataset, number, "PlanePositionSequence").get("ImagePositionPatient"), 3)
    axes = _numbers(_group(dataset, number, "PlaneOrientationSequence").get("ImageOrientationPatient"), 6)
    return Slice(
        path, number, (int(dataset.Columns), int(dataset.Rows)),
        None if spacing is None else (float(spacing[1]), float(spacing[0])),
        position, None if axes is None else axes.reshape(2, 3),
        _rescale(_group(dataset, number, "PixelValueTransformationSequence")),
    )


def _group(dataset: Dataset, number: int, name: str) -> Dataset:
    """Return the functional group of a frame; of a classic image the data set itself, which has the same elements."""
    per_frame, shared = (
        dataset.get(f"{kind}FunctionalGroupsSequence") or () for kind in ("PerFrame", "Shared")
    )
    for items, index in ((per_frame, number), (shared, 0)):
        if index < len(items) and items[index].get(name):
            found: Dataset = items[index][name][0]
            return found
    # A frame that lacks what others have is incomplete: what stands at the top is not its own.
    return Dataset() if any(item.get(name) for item in per_frame) else dataset


def _numbers(value: Any, count: int) -> np.ndarray | None:
    """Return that many finite numbers; None where there are others."""
    try:
        numbers = np.array([float(each) for each in value], float)
    except (TypeError, ValueError):  # missing, or no numbers
        return None
    return numbers if numbers.shape == (count,) and np.isfinite(numbers).all() else None


def _rescale(group: Dataset) -> Rescale | None:
    values = [group.get(name) for name in ("RescaleSlope", "RescaleIntercept")]
    if any(value in (None, "") for value in values):
        return None
    slope, intercept = map(float, values)
    return Rescale(slope, intercept, str(group.get("RescaleType") or ""))


def _text(dataset: Dataset, name: str) -> str:
    return str(dataset.get(name) or "").strip()


def _odd_bits(dataset: Dataset) -> str:
    """Tell whether the stored bits do not end at the lowest one, which decoders read in different ways."""
    stored, high = dataset.get("BitsStored"), dataset.get("HighBit")
    if stored is None or high is None or int(high) == int(stored) - 1:
        return ""
    return f"Its HighBit is {high} with {stored} bits stored; only {int(stored) - 1} is in use for CT."


def transfer_syntax(dataset: Dataset) -> UID:
    """Return how a data set is encoded; the standard's default where it does not say."""
    meta = getattr(dataset, "file_meta", None) or {}
    return UID(str(meta.get("TransferSyntaxUID", ImplicitVRLittleEndian)))


def _pixel_bytes(stream: IO[bytes], syntax: UID) -> int | None:
    """Return how many bytes of pixels follow in the file; None where there are none."""
    private = bool(syntax.is_private)
    implicit = not private and syntax.is_implicit_VR
    order, head = "<" if private or syntax.is_little_endian else ">", stream.read(12)
    if len(head) < 8 or struct.unpack(f"{order}H", head[:2])[0] != _PIXEL_GROUP:
        return None
    (length,) = struct.unpack(f"{order}I", head[4:8] if implicit else head[8:12].ljust(4, b"\0"))
    start = stream.tell() - (len(head) - 8 if implicit else 0)
    left = stream.seek(0, os.SEEK_END) - start
    return left if length == _NO_LENGTH else min(length, left)


def _damage(dataset: Dataset, frames: int, pixels: int | None) -> str:
    """Tell why pixels that are not compressed cannot be whole."""
    if pixels is None:
        return "It has no pixel data."
    bits = int(dataset.get("BitsAllocated") or 16) * int(dataset.get("SamplesPerPixel") or 1)
    expected = math.ceil(int(dataset.Rows) * int(dataset.Columns) * frames * bits / 8)
    return f"It has too little pixel data: {pixels} of {expected} bytes." if pixels < expected else ""

