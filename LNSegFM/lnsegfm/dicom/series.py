"""A CT volume from DICOM slices, refused where it would have holes, a wrong shape or doubtful values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from lnsegfm.base.errors import UserError
from lnsegfm.base.wording import printable
from lnsegfm.dicom.headers import (
    DICOM_SUFFIXES,
    DicomImage,
    Slice,
    damaged_file,
    is_foreign,
    read_header,
)
from lnsegfm.dicom.pixels import check_rescale, read_values
from lnsegfm.dicom.stacking import refused, stack
from lnsegfm.formats.file_formats import is_dicom
from lnsegfm.formats.given_files import check_file

_NAMED_SERIES = 12
_NAMED_FILES = 3


def read_series(folder: Path, series: str, notes: list[str]) -> sitk.Image:
    """Read the one CT series in ``folder``, or the one whose Series Instance UID is ``series``.

    Args:
        folder: Holds the files, classic or multi-frame (enhanced CT); folders below it are not looked into.
        series: Series Instance UID; empty where there is only one to choose.
        notes: Gets a text for each oddity that does not prevent the reading.

    Returns:
        3D image in HU, each slice by its own rescale, slices in the direction of their normal: int16, or float32 where
        values are fractional or do not fit.

    Raises:
        UserError: No image series, several to choose from, a damaged file, or slices that do not make up one regular
            volume.
    """
    found = _by_series(_files(folder), notes)
    uid = _choose(found, series, folder)
    _tell_strays(found, uid, notes)
    return _volume(found[uid], notes)


def read_multi_frame(path: Path, notes: list[str]) -> sitk.Image:
    """Read one DICOM file as `read_series` reads a folder.

    Raises:
        UserError: It is damaged, no image, or not a regular volume.
    """
    image = read_header(path)
    if image is None:
        raise damaged_file(path, "It holds no image.")
    return _volume([image], notes)


def list_series(folder: Path) -> list[str]:
    """Return the Series Instance UIDs in a folder that `read_series` would choose from, in order.

    Raises:
        UserError: A file is damaged, or may not be opened.
    """
    return sorted(_candidates(_by_series(_files(folder), [])))


def _files(folder: Path) -> list[Path]:
    """Return the files of a folder in order, without hidden ones such as those that macOS adds.

    Raises:
        UserError: Something may be a slice and may not be opened: a pipe, or a link that leads out of the folder.
            Passed over, it would be missing in the volume.
    """
    try:
        found = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise UserError(f"{printable(folder.name)} cannot be read.", f"{error.strerror or error}.") from error
    files = [path for path in found if not path.is_dir()]
    for path in files:
        if not is_foreign(path):
            check_file(path, within=folder)
    return [path for path in files if path.is_file()]


def _tell_strays(found: Mapping[str, Sequence[DicomImage]], uid: str, notes: list[str]) -> None:
    """Say that single CT images of the same plane lie beside a volume: one of its slices may have another series."""
    first = found[uid][0].slices[0]
    strays = [
        image.path.name for other, images in found.items() for image in images
        if other != uid and len(images) == len(image.slices) == 1 and image.modality == "CT"
        and image.slices[0].size == first.size and _same_axes(image.slices[0], first)
    ]
    if strays:
        names = ", ".join(f"'{printable(name)}'" for name in strays[:_NAMED_FILES])
        notes.append(f"Left out, for it belongs to another series, although it has the same plane: {names}.")


def _same_axes(one: Slice, other: Slice) -> bool:
    return one.axes is not None and other.axes is not None and bool(np.allclose(one.axes, other.axes, atol=1e-3))


def _volume(images: Sequence[DicomImage], notes: list[str]) -> sitk.Image:
    _check_kind(images, notes)
    slices = [each for image in images for each in image.slices]
    if len(slices) < 2:
        raise UserError(
            "The image has fewer than two slices.", "The series is a single slice.",
            "Choose a whole CT volume; of a DICOM series, choose the folder that holds all its slices.",
        )
    ordered, grid = stack(slices)
    tables = {image.has_table for image in images}
    check_rescale(slices, tables == {True}, notes)
    return grid.put_on(sitk.GetImageFromArray(read_values(ordered, {image.path: image for image in images})))


def _check_kind(images: Sequence[DicomImage], notes: list[str]) -> None:
    modality = images[0].modality
    if modality != "CT":
        notes.append(f"The series' modality is {modality or 'not given'}, not CT; the models are made for CT.")
    _check_identity(images)
    for number, name in enumerate(("convolution kernels", "image types")):
        values = sorted({image.kinds[number] for image in images})
        if len(values) > 1:
            notes.append(f"The slices of the series have different {name}: {'; '.join(values)}.")
    for image in images:
        if image.modality != modality:
            raise refused(
                f"Its images have the modalities {modality or 'none'} and {image.modality or 'none'}.",
                "Remove the images that do not belong to the volume.",
            )
        if image.photometric == "MONOCHROME1":
            raise UserError(
                "The DICOM image cannot be read in HU.",
                "Its grey scale is inverted (MONOCHROME1), which is not used for CT.",
                "Export the original series, not a processed copy.",
            )
        if image.colours != 1:
            raise UserError(
                "The DICOM image cannot be read in HU.", f"Each voxel has {image.colours} values, as in a picture.",
                "Export the original series, not a screen capture.",
            )


def _check_identity(images: Sequence[DicomImage]) -> None:
    """Refuse images of several patients, studies or frames of reference in one series."""
    for number, name in enumerate(("patients", "studies", "frames of reference")):
        usual, count = Counter(image.identity[number] for image in images).most_common(1)[0]
        if count < len(images):
            odd = next(image for image in images if image.identity[number] != usual)
            raise refused(
                f"Its images are of several {name}: {len(images) - count} of {len(images)} differ, first "
                f"{printable(odd.path.name)}.", "Remove the images that do not belong to the volume.",
            )


def _by_series(files: Sequence[Path], notes: list[str]) -> dict[str, list[DicomImage]]:
    found: dict[str, list[DicomImage]] = {}
    strangers = []
    for path in files:
        # Of what is not a slice by its name, links are not followed.
        image = None if is_foreign(path) and path.is_symlink() else read_header(path)
        if image is not None:
            found.setdefault(image.series, []).append(image)
        elif not is_foreign(path):
            strangers.append(path)
    for path in strangers if found else ():
        if path.suffix.lower() in DICOM_SUFFIXES and not is_dicom(path):
            raise damaged_file(path, "It has the name of a DICOM file but is none.")
    unknown = [path for path in strangers if found and not is_dicom(path)]
    if unknown:
        names = ", ".join(f"'{printable(path.name)}'" for path in unknown[:_NAMED_FILES])
        notes.append(f"Left out, for it is not DICOM: {names}{' and more' if len(unknown) > _NAMED_FILES else ''}.")
    return found


def _choose(found: dict[str, list[DicomImage]], series: str, folder: Path) -> str:
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
    candidates = _candidates(found)
    if len(candidates) > 1:
        raise UserError(
            "The folder holds several DICOM series.",
            _listing({uid: found[uid] for uid in candidates}),
            "Choose one by its Series Instance UID, or keep its files in a folder of their own.",
        )
    return candidates[0]


def _candidates(found: dict[str, list[DicomImage]]) -> list[str]:
    """Return the series that may be meant: those of a CT, or else any; volumes, or else single images."""
    # Scouts and single captures lie beside many a CT.
    volumes = [uid for uid, images in found.items() if _slice_count(images) > 1] or list(found)
    return [uid for uid in volumes if found[uid][0].modality == "CT"] or volumes


def _slice_count(images: Sequence[DicomImage]) -> int:
    return sum(len(image.slices) for image in images)


def _listing(found: dict[str, list[DicomImage]]) -> str:
    lines = [
        f"{uid or 'no UID'}: {_slice_count(images)} slices, {images[0].modality or 'no modality'}"
        + (f', "{images[0].description}"' if images[0].description else "")
        for uid, images in list(found.items())[:_NAMED_SERIES]
    ]
    if len(found) > _NAMED_SERIES:
        lines.append(f"and {len(found) - _NAMED_SERIES} more.")
    return "\n".join(lines)
