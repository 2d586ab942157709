"""A CT volume from a folder of DICOM slices, refused where it would have holes or a wrong shape."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from lnsegfm.base.errors import UserError

_PLANE_TOLERANCE = 1e-3
# Scanners round slice positions to 0.1 mm at worst.
_POSITION_TOLERANCE_MM = 0.1
_POSITION_TOLERANCE_SPACINGS = 0.05
_NAMED_SERIES = 12


@dataclass(frozen=True)
class Slice:
    """What the header of one DICOM file says; vectors are LPS, lengths in mm."""

    file: str
    size: tuple[int, int, int]
    spacing: tuple[float, float, float]
    position: np.ndarray
    direction: np.ndarray
    modality: str
    description: str
    photometric: str


def read_series(folder: Path, series: str, notes: list[str]) -> sitk.Image:
    """Read the one CT series in ``folder``, or the one whose Series Instance UID is ``series``.

    Returns:
        3D image in HU (rescale slope and intercept applied), slices in the direction of their normal.

    Raises:
        UserError: No image series, several to choose from, or slices that do not make up one regular volume.
    """
    found = _volumes(folder)
    uid = _choose(found, series, folder)
    slices = found[uid]
    if slices[0].modality != "CT":
        modality = slices[0].modality or "not given"
        notes.append(f"The series' modality is {modality}, not CT; the models are made for CT.")
    for each in slices:
        check_grey_scale(each.photometric)
    if len(slices) == 1:
        return _read([slices[0].file])
    ordered, step = _stack(slices)
    image = _read([each.file for each in ordered])
    image.SetOrigin([float(value) for value in ordered[0].position])
    image.SetDirection([float(value) for value in ordered[0].direction.ravel()])
    image.SetSpacing((*ordered[0].spacing[:2], step))
    return image


def check_grey_scale(photometric: str) -> None:
    """Check that a DICOM image's photometric interpretation leaves its HU as they are.

    Raises:
        UserError: It is MONOCHROME1; SimpleITK would read the values upside down.
    """
    if photometric == "MONOCHROME1":
        raise UserError(
            "The DICOM image cannot be read in HU.",
            "Its grey scale is inverted (MONOCHROME1), which is not used for CT.",
            "Export the original series, not a processed copy.",
        )


def _volumes(folder: Path) -> dict[str, list[Slice]]:
    reader = sitk.ImageSeriesReader
    found = {}
    for uid in reader.GetGDCMSeriesIDs(str(folder)):
        slices = [header for file in reader.GetGDCMSeriesFileNames(str(folder), uid) if (header := _header(file))]
        if slices:
            found[uid] = slices
    return found


def _header(file: str) -> Slice | None:
    reader = sitk.ImageFileReader()
    reader.SetFileName(file)
    reader.SetImageIO("GDCMImageIO")
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        # A DICOM object without pixels, such as an RTSTRUCT beside the CT.
        return None
    if reader.GetDimension() != 3:
        return None

    def tag(key: str) -> str:
        return reader.GetMetaData(key).strip() if reader.HasMetaDataKey(key) else ""

    return Slice(
        file, reader.GetSize(), reader.GetSpacing(), np.array(reader.GetOrigin()),
        np.reshape(reader.GetDirection(), (3, 3)), tag("0008|0060"), tag("0008|103e"), tag("0028|0004"),
    )  # fmt: skip


def _choose(found: dict[str, list[Slice]], series: str, folder: Path) -> str:
    if series:
        if series not in found:
            raise UserError(
                f"The series {series} is not in this folder.", _listing(found) or f"{folder} holds no DICOM images."
            )
        return series
    if not found:
        raise UserError(
            "No DICOM images were found.",
            f"{folder} holds no file that can be read as a DICOM image.",
            "Choose the folder that directly holds the slices of the CT.",
        )
    # Scouts and single captures lie beside many a CT.
    volumes = {uid: slices for uid, slices in found.items() if sum(each.size[2] for each in slices) > 1} or found
    candidates = [uid for uid in volumes if volumes[uid][0].modality == "CT"] or list(volumes)
    if len(candidates) > 1:
        raise UserError(
            "The folder holds several DICOM series.",
            _listing({uid: volumes[uid] for uid in candidates}),
            "Choose one by its Series Instance UID, or keep its files in a folder of their own.",
        )
    return candidates[0]


def _listing(found: dict[str, list[Slice]]) -> str:
    lines = [
        f"{uid}: {sum(each.size[2] for each in slices)} slices, {slices[0].modality or 'no modality'}"
        + (f', "{slices[0].description}"' if slices[0].description else "")
        for uid, slices in list(found.items())[:_NAMED_SERIES]
    ]
    if len(found) > _NAMED_SERIES:
        lines.append(f"and {len(found) - _NAMED_SERIES} more.")
    return "\n".join(lines)


def _stack(slices: list[Slice]) -> tuple[list[Slice], float]:
    """Return the slices ordered along their normal and their distance in mm."""
    first = slices[0]
    same = all(
        each.size == first.size
        and np.allclose(each.direction, first.direction, atol=_PLANE_TOLERANCE)
        and np.allclose(each.spacing[:2], first.spacing[:2], rtol=_PLANE_TOLERANCE)
        for each in slices
    )
    if not same or first.size[2] != 1:
        raise _refused(
            "Its images differ in size, pixel spacing or orientation.",
            "Remove images that do not belong to the volume, such as a localizer.",
        )
    normal = first.direction[:, 2]
    ordered = sorted(slices, key=lambda each: float(each.position @ normal))
    positions = np.array([each.position for each in ordered])
    heights = positions @ normal
    _check_gaps(heights)
    sideways = positions - positions[0] - np.outer(heights - heights[0], normal)
    if np.abs(sideways).max() > 0.5 * min(first.spacing[:2]):
        raise _refused(
            "Its slices are shifted sideways against each other, as with a tilted gantry.",
            "Load it in Slicer, where the DICOM module regularises the geometry, and use the loaded volume.",
        )
    return ordered, float((heights[-1] - heights[0]) / (len(heights) - 1))


def _check_gaps(heights: np.ndarray) -> None:
    gaps = np.diff(heights)
    usual = float(np.median(gaps))
    tolerance = max(_POSITION_TOLERANCE_MM, _POSITION_TOLERANCE_SPACINGS * usual)
    if gaps.min() < min(_POSITION_TOLERANCE_MM, 0.5 * usual) or usual <= 0:
        raise _refused(
            "Several of its images lie at the same position, or their positions are missing.",
            "Keep one image per position: one phase of a 4D CT, one reconstruction.",
        )
    widest = int(gaps.argmax())
    where = f"between the slices at {heights[widest]:.1f} mm and {heights[widest + 1]:.1f} mm along the stack"
    if gaps[widest] > 1.5 * usual:
        raise _refused(
            f"Slices are missing: there is a gap of {gaps[widest]:.2f} mm {where}, where {usual:.2f} mm are usual.",
            "Copy or export the whole series again.",
        )
    regular = heights[0] + np.arange(len(heights)) * (heights[-1] - heights[0]) / (len(heights) - 1)
    if np.abs(heights - regular).max() > tolerance:
        raise _refused(
            f"Its slices are not evenly spaced: {gaps.min():.2f} to {gaps.max():.2f} mm apart, widest {where}.",
            "Load it in Slicer, where the DICOM module regularises the geometry, and use the loaded volume.",
        )


def _read(files: list[str]) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileNames(files)
    try:
        return reader.Execute() if len(files) > 1 else sitk.ReadImage(files[0], imageIO="GDCMImageIO")
    except RuntimeError as error:
        raise _refused(
            str(error).strip().splitlines()[-1], "Export the series again, uncompressed where that can be chosen."
        ) from error


def _refused(why: str, todo: str) -> UserError:
    return UserError("The DICOM series cannot be read as one CT volume.", why, todo)
