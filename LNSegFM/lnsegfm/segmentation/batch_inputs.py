"""The CTs in a folder: image files, and series of DICOM slices in folders below it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lnsegfm.base.errors import UserError
from lnsegfm.formats.file_formats import is_dicom
from lnsegfm.formats.given_files import check_file
from lnsegfm.segmentation.file_requests import check_exists
from lnsegfm.segmentation.provenance import sidecar_path

_SUFFIXES = (".nii.gz", ".nii", ".hdr", ".nrrd", ".nhdr", ".mha", ".mhd")
_CHANNEL = re.compile(r"(?P<name>.+)_(?P<channel>\d{4})")


@dataclass(frozen=True)
class BatchInput:
    """A CT of a folder.

    Args:
        path: File, or folder of DICOM slices.
        output: Where its labels belong, relative to the folder of results.
        series: Series Instance UID where a DICOM folder holds several series.
        problem: Why it is not opened, such as a link that leads out of the folder; None where nothing speaks against
            it.
    """

    path: Path
    output: Path
    series: str = ""
    problem: UserError | None = None


def find_inputs(folder: Path) -> list[BatchInput]:
    """Return the CTs of a folder and the folders below it, in order of their paths.

    nnU-Net's ``NAME_0000.nii.gz`` gives ``NAME.nii.gz``; its further channels are left out. NIfTI gives NIfTI,
    everything else NRRD.

    Args:
        folder: Where to look.

    Raises:
        UserError: There is none, or two of them would have the same result.
    """
    return find_all_inputs([folder])


def find_all_inputs(sources: Sequence[Path]) -> list[BatchInput]:
    """Return the CTs of several files and folders, see `find_inputs`.

    Args:
        sources: Files, and folders with files and folders below them; in this order.

    Raises:
        UserError: One does not exist or holds no CT, or two CTs would have the same result.
    """
    for source in sources:
        check_exists(source)
    found: list[BatchInput] = []
    for source in sources:
        own = _below(source) if source.is_dir() else _named(source)
        if not own:
            why = "does not end as NIfTI, NRRD or MetaImage files do"
            if source.is_dir():
                why = "holds neither NIfTI, NRRD or MetaImage files nor a DICOM series, nor does a folder below it"
            raise UserError("There is nothing to segment.", f"{source} {why}.", "Check the path.")
        found += own
    _refuse_same_result(found)
    return found


def _named(source: Path) -> list[BatchInput]:
    return list(_in_folder(source.parent, source.parent, [source.name], named=True))


def _below(folder: Path) -> list[BatchInput]:
    return [each for directory, _folders, names in _walk(folder) for each in _in_folder(folder, directory, names)]


def _refuse_same_result(found: Sequence[BatchInput]) -> None:
    outputs: dict[str, Path] = {}
    for each in found:
        # What made a result is told beside it, under its name without the ending.
        key = str(sidecar_path(each.output)).lower()
        if key in outputs:
            raise UserError(
                "Two scans would have the same result.", f"{outputs[key]} and {each.path} both give {each.output}.",
                "Rename one of them, or segment them one at a time.",
            )
        outputs[key] = each.path


def _walk(folder: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    for directory, folders, names in os.walk(folder):
        folders.sort()
        yield Path(directory), folders, sorted(name for name in names if not name.startswith("."))


def _in_folder(root: Path, directory: Path, names: list[str], *, named: bool = False) -> Iterator[BatchInput]:
    relative = directory.relative_to(root)
    for name in names:
        suffix = next((each for each in _SUFFIXES if name.lower().endswith(each)), "")
        stem = name[: len(name) - len(suffix)]
        channel = _CHANNEL.fullmatch(stem)
        if suffix and (channel is None or channel["channel"] == "0000"):
            stem = channel["name"] if channel else stem
            path, problem = directory / name, None
            try:
                # The user has named a file alone in its folder, be it a link to anywhere.
                check_file(path, within=None if named else root)
            except UserError as error:
                problem = error
            yield BatchInput(path, relative / (stem + _written_as(suffix)), problem=problem)
    if any(_is_dicom(directory / name) for name in names):
        # Only where there is DICOM: finding the files of other folders takes no SimpleITK.
        from lnsegfm.inputs.reading_apart import list_series

        try:
            series = list_series(directory)
        except UserError:
            series = [""]  # the reason is said when it is read
        place = relative if relative.name else Path(directory.resolve().name)
        for number, uid in enumerate(series, 1):
            counted = f"-{number}" if len(series) > 1 else ""
            yield BatchInput(directory, place.with_name(f"{place.name}{counted}.nrrd"), uid if counted else "")


def _written_as(suffix: str) -> str:
    return ".nii.gz" if suffix.startswith((".nii", ".hdr")) else ".nrrd"


def _is_dicom(path: Path) -> bool:
    try:
        return is_dicom(path)
    except UserError:
        return False
