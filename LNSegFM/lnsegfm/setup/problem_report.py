"""A report of problems that a user can send to strangers: versions and causes, no names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lnsegfm.base.errors import UserError

_REMOVED = "<removed>"
# Paths of Windows and POSIX up to a quotation mark, the end of the line or what follows a path in messages.
_PATH = re.compile(
    r"(?:file:|(?<![\w<])~|\b[A-Za-z]:|\\\\[^\s\\/'\"]+|(?<![\w/<.:])(?=[\\/]))[\\/][^'\"`<>|\n:;,()\[\]]*"
)
_FILE_NAME = re.compile(
    r"[^\s'\"/\\]+\.(?:dcm|nii|gz|nrrd|nhdr|mha|mhd|mrb|mrml|zip|pth|json|csv|txt|img|hdr|seg|whl)\b", re.IGNORECASE
)
_QUOTED = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"|‘[^’\n]*’|“[^”\n]*”|„[^“\n]*“")
# What Python quotes in its own messages: names of modules, attributes and types.
_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)+|torch|nnunetv2|slicer|numpy|vtk|qt|ctk|pip")
_DICOM_NAME = re.compile(r"\S+\^\S*")
_MAIL = re.compile(r"\S+@\S+\.\S+")
# Record numbers, dates and UIDs. Versions and byte counts of a few digits stay.
_LONG_NUMBER = re.compile(r"\d[\d.\-/]{6,}\d|\d{5,}")
_OWN_ERROR = f"{UserError.__module__}.{UserError.__qualname__}:"
_FRAME = re.compile(r'^\s*File "(?P<file>.+)", line (?P<line>\d+), in (?P<function>\S+)$')


def report(facts: Mapping[str, str], traceback_text: str, log: Sequence[str], private: Iterable[str]) -> str:
    """Compose the report.

    Args:
        facts: Values by name, of our own making: versions, devices, counts.
        traceback_text: The last traceback as Python prints it; empty when there was none.
        log: Last lines of an installation's log.
        private: Words that must not appear, whoever wrote them: names of volumes, patients, users.

    Returns:
        Plain text.
    """
    words = list(private)
    parts = ["LN-Seg-FM for 3D Slicer", *(f"{name}: {value}" for name, value in facts.items())]
    if traceback_text:
        parts += ["", "Last error:", anonymous_traceback(traceback_text, words)]
    if log:
        parts += ["", "Last installation:", *(anonymous(line, words) for line in log)]
    return "\n".join(parts) + "\n"


def anonymous(text: str, private: Iterable[str] = ()) -> str:
    """Remove from a message whatever might name a person or a place: it can cost meaning, never privacy.

    Paths, file names, quoted words other than Python's own names, names as DICOM writes them, addresses, long numbers
    and the ``private`` words, each as a whole, in any case.
    """
    # The longest first, or the rest of a long name would stay when a part of it is a word as well.
    for word in sorted({word for word in private if len(word) > 1}, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", _REMOVED, text, flags=re.IGNORECASE)
    text = _QUOTED.sub(lambda found: found[0] if _IDENTIFIER.fullmatch(found[0][1:-1]) else _REMOVED, text)
    for pattern in (_PATH, _FILE_NAME, _MAIL, _DICOM_NAME, _LONG_NUMBER):
        text = pattern.sub(_REMOVED, text)
    return text


def anonymous_traceback(text: str, private: Iterable[str] = ()) -> str:
    """Return a traceback with frames as ``package/file.py:line in function``, and its messages made `anonymous`.

    Source lines are left out of it; they are the same for everybody who has these versions. So are the messages of our
    own errors, which like to name volumes and files; where they come from says what they say.
    """
    words = list(private)
    lines, in_frame, own = [], False, False
    for line in text.splitlines():
        frame = _FRAME.match(line)
        if frame is not None:
            lines.append(f"  {_short(frame['file'])}:{frame['line']} in {frame['function']}")
            in_frame, own = True, False
        elif line.startswith(" ") and in_frame:
            continue  # the source line, or what marks a place in it
        elif line.startswith(_OWN_ERROR):
            in_frame, own = False, True
            lines.append(f"{_OWN_ERROR} {_REMOVED}")
        elif line.startswith(("Traceback ", "During handling ", "The above exception ")):
            in_frame, own = False, False
            lines.append(line)
        elif line.strip() and not own:
            in_frame = False
            lines.append(anonymous(line, words))
    return "\n".join(lines)


def _short(file: str) -> str:
    """Return a Python file's path from its package on; of other files nothing but that they are there."""
    parts = Path(file.replace("\\", "/")).parts
    for root in ("site-packages", "dist-packages", "LNSegFM", "LNSegFMFineTune", "lib"):
        if root in parts[:-1]:
            inside = parts[len(parts) - parts[::-1].index(root) :]
            return "/".join(inside)
    return "python"
