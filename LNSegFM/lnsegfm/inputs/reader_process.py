"""The process that reads strangers' files, so that no library can take Slicer down with it; without torch.

An operation is ``module:function`` of this library; the function takes the arguments of the request, see
`lnsegfm.base.serving.process_server`.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, cast

import SimpleITK as sitk

from lnsegfm.base.serving.process_server import Arguments, FindOperation, Operation, Report, WithData, serve
from lnsegfm.inputs.sent_image import described


def ct(arguments: Arguments, report: Report, is_cancelled: Any) -> WithData:
    """Read a CT, see `lnsegfm.inputs.reading.read_ct`; ``path``, ``series`` and ``assume_hu`` are its arguments."""
    del report, is_cancelled
    from lnsegfm.inputs.reading import read_ct

    notes: list[str] = []
    image = read_ct(
        Path(arguments["path"]), series=arguments["series"], warnings=notes, assume_hu=arguments["assume_hu"]
    )
    return _answer(image, notes)


def labels(arguments: Arguments, report: Report, is_cancelled: Any) -> WithData:
    """Read the labels at ``path``, see `lnsegfm.inputs.label_reading.read_labels`."""
    del report, is_cancelled
    from lnsegfm.inputs.label_reading import read_labels

    notes: list[str] = []
    return _answer(read_labels(Path(arguments["path"]), notes), notes)


def series(arguments: Arguments, report: Report, is_cancelled: Any) -> dict[str, Any]:
    """List the DICOM series in the folder at ``path``, see `lnsegfm.dicom.series.list_series`."""
    del report, is_cancelled
    from lnsegfm.dicom.series import list_series

    return {"series": list_series(Path(arguments["path"]))}


def _answer(image: sitk.Image, notes: list[str]) -> WithData:
    description, data = described(image)
    return WithData({"image": description, "notes": notes}, data)


def _operation(name: str) -> Operation | None:
    module, _, function = name.partition(":")
    return cast(Operation, getattr(import_module(module), function, None)) if module.startswith("lnsegfm.") else None


def _load() -> FindOperation:
    return _operation


def main() -> None:
    """Entry point of ``python -m lnsegfm.inputs.reader_process``."""
    serve(_load)


if __name__ == "__main__":
    main()
