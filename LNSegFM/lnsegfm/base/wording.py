"""Words for people: numbers, sizes, errors, and names that any terminal can show."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from lnsegfm.base.errors import UserError

# As `lnsegfm.base.files` and the standard library's tempfile name them.
_BESIDE = re.compile(r"\.tmp-[0-9a-f]{8}-(?=\S)|(?<![\w.])\.try-(?=\S)")
_FOLDER = re.compile(r"\.tmp-[a-z0-9_]{8}(?![a-z0-9_-])")
_IN_A_PATH = re.compile(rf"([/\\]){_FOLDER.pattern}|(^|(?<=[\s'\"])){_FOLDER.pattern}(?=[/\\])")
_EXCHANGED = {"image.nrrd": "the CT", "instances.nrrd": "the result", "probability.nrrd": "the probability"}
_EXCHANGE = re.compile(
    r"""(?:(?:[A-Za-z]:)?[/\\][^\n'"]*?)?[/\\]exchange[/\\]\.tmp-[a-z0-9_]{8}[/\\](image|instances|probability)\.nrrd"""
)


def duration(seconds: float) -> str:
    """Return a time in its one or two largest units, such as "1 min 20 s".

    Above half a minute it is rounded to 5 s, above an hour to a minute: an estimate is not more precise.
    """
    if seconds < 30:
        return f"{max(1, round(seconds))} s"
    fives = 5 * round(seconds / 5)
    if fives < 3600:
        minutes, rest = divmod(fives, 60)
        return " ".join(part for part in (f"{minutes} min" if minutes else "", f"{rest} s" if rest else "") if part)
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def data_size(count: float, *, memory: bool = False) -> str:
    """Return a number of bytes as "12 kB", "340 MB" or "1.9 GB".

    Args:
        count: The bytes.
        memory: Count in powers of 1024, as the memory of computers and GPUs is sold; else in powers of 1000, as disks
            and browsers count.
    """
    kilo = 1024 if memory else 1000
    if count <= 999 * kilo:
        return f"{math.ceil(count / kilo)} kB"
    return f"{count / kilo**2:.0f} MB" if count < 999.5 * kilo**2 else f"{count / kilo**3:.1f} GB"


def by(numbers: Iterable[float]) -> str:
    """Return sizes along several axes, such as "512 x 512 x 150" voxels or "0.75 x 0.75 x 3" mm."""
    return " x ".join(str(number) if isinstance(number, int) else f"{round(number, 4):.8g}" for number in numbers)


def explain(error: UserError) -> str:
    """Return an error as the paragraphs of a dialog: what happened, why, and what to do."""
    return "\n\n".join(part for part in (error.what, error.why, error.todo) if part)


def printable(name: str) -> str:
    """Return a file's name so that any terminal and log can show it: bytes that are no UTF-8 as ``\\udcNN``."""
    return name.encode("utf-8", "backslashreplace").decode()


def without_temporary(text: str, folder: str = "the folder") -> str:
    """Return a message with the names of the user's files where it has those of temporary ones.

    ``.tmp-0123abcd-labels.nrrd`` becomes ``labels.nrrd``; volumes on their way between processes become "the CT"; a
    temporary folder in a path is shown as "...".

    Args:
        text: The message.
        folder: What a temporary folder that is named alone stands for, such as the name of the zip that was unpacked
            into it; empty to leave it to another process, which knows.
    """
    if ".t" not in text:
        return text
    text = _EXCHANGE.sub(lambda found: _EXCHANGED[f"{found[1]}.nrrd"], text)
    text = _IN_A_PATH.sub(r"\1...", _BESIDE.sub("", text))
    return _FOLDER.sub(lambda found: folder, text) if folder else text
