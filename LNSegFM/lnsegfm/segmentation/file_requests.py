"""What is asked of a segmentation of files, and whether it can be done; apart from the work, which loads SimpleITK."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lnsegfm.base.errors import UserError
from lnsegfm.base.files import check_writable
from lnsegfm.formats.image_names import check_image_name
from lnsegfm.segmentation.provenance import Provenance, sidecar_path
from lnsegfm.segmentation.segment_options import SegmentOptions


@dataclass(frozen=True)
class FileRequest:
    """What is to be segmented, and where to.

    Args:
        ct: A file, or a folder of DICOM slices.
        labels: File for the labels, 1 is lymph node, on the CT's own grid.
        options: How to segment; the model's id among it.
        probability: File for the foreground probability, uint8, 255 is certain.
        measurements: CSV file for the measurements.
        series: Series Instance UID, where a folder holds several series.
        overwrite: Replace existing files also when they were not written by an earlier segmentation.
    """

    ct: Path
    labels: Path
    options: SegmentOptions
    probability: Path | None = None
    measurements: Path | None = None
    series: str = ""
    overwrite: bool = False

    @property
    def outputs(self) -> dict[str, Path]:
        """The files that are to be written, by what they hold."""
        named = {"labels": self.labels, "probability": self.probability, "measurements": self.measurements}
        return {name: path for name, path in named.items() if path is not None}


def check_exists(path: Path, what: str = "The CT") -> None:
    """Find out whether an input is there.

    Args:
        path: The file or folder.
        what: What it should hold, at the beginning of a sentence.

    Raises:
        UserError: It is not.
    """
    if not path.exists():
        raise UserError(f"{what} cannot be read.", f"{path} does not exist.", "Check the path.")


def check_request(request: FileRequest) -> None:
    """Find out before any work whether its result can be written.

    Raises:
        UserError: The CT does not exist; an output cannot be written, is the CT or another output, or exists and was
            not written by an earlier segmentation, or was changed since.
    """
    for name in ("labels", "probability"):
        if name in request.outputs:
            check_image_name(request.outputs[name])
    files = [*request.outputs.values(), sidecar_path(request.labels)]
    for path in files:
        _refuse_collision(path, request, files)
        check_writable(path)
    check_exists(request.ct)
    known = Provenance.read(request.labels)
    for path in () if request.overwrite else request.outputs.values():
        if path.exists() and (known is None or not known.wrote(path)):
            why = "It was changed since it was segmented" if known else "It was not written by an earlier segmentation"
            raise UserError(
                f"{path.name} exists already.", f"{why}, and would be lost.",
                "Choose another name, or ask for --overwrite.",
            )


def _refuse_collision(path: Path, request: FileRequest, files: Sequence[Path]) -> None:
    if path.exists() and request.ct.exists() and path.samefile(request.ct):
        raise UserError(
            f"{path.name} is the CT itself.", "A result must not replace its input.", "Choose another name."
        )
    if sum(_same(path, each) for each in files) > 1:
        raise UserError(
            f"{path.name} is asked for twice.", "Two results would be written to the same file.",
            "Choose different names.",
        )


def _same(first: Path, second: Path) -> bool:
    # Names of any case, as on Windows and macOS.
    return str(first.absolute()).lower() == str(second.absolute()).lower()
