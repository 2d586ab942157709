"""What is asked of a segmentation of files, and whether it can be done; apart from the work, which loads SimpleITK."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lnsegfm.base.errors import UserError
from lnsegfm.base.outputs import check_outputs, exists_already
from lnsegfm.formats.data_files import companions
from lnsegfm.formats.given_files import check_file, check_name
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
        others: Further inputs that must not be replaced, such as the other CTs of a folder.
    """

    ct: Path
    labels: Path
    options: SegmentOptions
    probability: Path | None = None
    measurements: Path | None = None
    series: str = ""
    overwrite: bool = False
    others: tuple[Path, ...] = ()

    @property
    def outputs(self) -> dict[str, Path]:
        """The files that are to be written, by what they hold."""
        named = {"labels": self.labels, "probability": self.probability, "measurements": self.measurements}
        return {name: path for name, path in named.items() if path is not None}


def check_exists(path: Path, what: str = "The CT") -> None:
    """Find out whether an input is there, and a folder or a file that may be opened.

    Args:
        path: The file or folder.
        what: What it should hold, at the beginning of a sentence.

    Raises:
        UserError: It is not.
    """
    check_name(path)
    if not path.exists():
        raise UserError(f"{what} cannot be read.", f"{path} does not exist.", "Check the path.")
    if not path.is_dir():
        check_file(path)


def check_request(request: FileRequest) -> None:
    """Find out before any work whether its result can be written.

    Raises:
        UserError: The CT does not exist; an output cannot be written, is the CT or another output, or exists and was
            not written by an earlier segmentation, or was changed since.
    """
    for name in ("labels", "probability"):
        if name in request.outputs:
            check_image_name(request.outputs[name])
    known, sidecar = Provenance.read(request.labels), sidecar_path(request.labels)

    def wrote(path: Path) -> bool:
        if known is not None and path != sidecar and not known.wrote(path):
            raise exists_already(path, "It was changed since it was segmented")
        return known is not None

    inputs = (request.ct, *request.others)
    check_outputs(
        [*request.outputs.values(), sidecar], [*inputs, *(file for each in inputs for file in companions(each))],
        overwrite=request.overwrite, wrote=wrote, by="by an earlier segmentation",
    )
    check_exists(request.ct)
