"""Texts of errors without the names of source files, which may identify a patient."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

_UID = re.compile(r"\d+(?:\.\d+){3,}")
_PATH = re.compile(r"[^\s\"']*[/\\][^\s\"']*")
# Descriptions of DICOM series, names of structures; not the apostrophe of "the CT's grid".
_QUOTED = re.compile(r"\"[^\"]*\"|(?<!\w)'[^']*'")


def neutral(text: str, paths: Iterable[Path], name: str) -> str:
    """Return ``text`` without paths, UIDs, quotations and the names of its source.

    Args:
        text: Text of an error.
        paths: Files it may speak of.
        name: What the source calls the case.
    """
    files = list(paths)
    folders = {str(folder) for path in files for folder in path.parents if len(folder.parts) > 1}
    # Longest first: a folder's name with spaces is only recognised as a whole.
    for known in sorted({str(path) for path in files} | folders, key=len, reverse=True):
        text = text.replace(known, "[path]")
    names = sorted({name, *(path.name for path in files)}, key=len, reverse=True)
    text = re.sub(rf"(?<!\w)(?:{'|'.join(map(re.escape, names))})(?!\w)", "[file]", text)
    for pattern, replacement in ((_QUOTED, "[name]"), (_UID, "[UID]"), (_PATH, "[path]")):
        text = pattern.sub(replacement, text)
    return " ".join(text.split())
