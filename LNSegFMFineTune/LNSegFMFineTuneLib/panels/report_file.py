"""Writing a report: HTML as it is, PDF by Qt where Slicer's Qt can."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from lnsegfm.base.errors import UserError
from lnsegfm.base.failures import reason
from lnsegfm.base.files import write_atomic, write_text


def write_report(html: str, path: str) -> tuple[Path, str]:
    """Write a report to a file whose suffix says the format.

    Args:
        html: The whole report, self-contained.
        path: Ends in .pdf for PDF; anything else is HTML.

    Returns:
        The file that was written, and why it is not the PDF that was asked for, or an empty text.

    Raises:
        UserError: The file cannot be written.
    """
    target = Path(path)
    is_pdf = target.suffix.lower() == ".pdf"
    try:
        if is_pdf and _write_pdf(html, target):
            return target, ""
        target = target.with_suffix(".html") if is_pdf or not target.suffix else target
        write_text(target, html)
    except OSError as error:
        raise UserError(
            f"{target.name} could not be written.", reason(error), "Check that the folder may be written and has space."
        ) from error
    note = _("This Slicer's Qt cannot write PDF; a web browser can print the HTML file as one.")
    return target, f" {note}" if is_pdf else ""


def _write_pdf(html: str, target: Path) -> bool:
    """Write a PDF; False where Qt cannot, of which a part may only show when it is used."""
    printer = _pdf_device()
    if printer is None:
        return False
    try:
        with slicer.util.WaitCursor():
            write_atomic(target, lambda temporary: _print(html, printer, temporary))
    except (AttributeError, TypeError, ValueError):
        return False
    return True


def _pdf_device() -> Any:
    """Return the class that writes PDF, or None; which ones there are depends on how Slicer's Qt was wrapped."""
    prints = hasattr(qt.QTextDocument, "print_") or hasattr(qt.QTextDocument, "print")
    return (getattr(qt, "QPrinter", None) or getattr(qt, "QPdfWriter", None)) if prints else None


def _print(html: str, device_class: Any, path: Path) -> None:
    if device_class.__name__ == "QPdfWriter":
        device = device_class(str(path))
        device.setResolution(96)
    else:
        device = device_class()
        device.setOutputFormat(device_class.PdfFormat)
        device.setOutputFileName(str(path))
    document = qt.QTextDocument()
    document.setHtml(html)
    (getattr(document, "print_", None) or getattr(document, "print"))(device)  # noqa: B009 - a keyword once
    del device  # the file is complete when its writer is gone
