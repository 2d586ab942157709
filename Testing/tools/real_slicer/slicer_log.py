"""Slicer's log: its entries, those of each step, and which of its errors are ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

BEGIN = "[real_slicer] begin "
"""What `inside.steps` logs before a step; the step's name follows."""
DONE = "[real_slicer] done "
"""What it logs within a step, after a part of it that has a name of its own."""
ERRORS = ("ERROR", "CRITICAL", "FATAL")
TRACEBACK = "Traceback (most recent call last)"
_TRACEBACK_LINES = 40
# The pattern of ctkErrorLogAbstractModel: [level][origin] time [category] (file:line) - message
_ENTRY = re.compile(r"^\[(?P<level>[A-Z]+)\]\[(?P<origin>[^]]*)\] \S+ \S+ \[[^]]*\] \(.*?\) - (?P<text>.*)$")
_OURS = re.compile(f"LNSegFM|LN-Seg-FM|{re.escape(TRACEBACK)}", re.IGNORECASE)
# Whatever writes to the terminal in Slicer's process: graphics drivers, D-Bus, libraries. What we do to Slicer comes
# by the other origins (VTK, Qt, Python), or is a traceback.
_STREAMS = ("Stream", "FD")


@dataclass(frozen=True)
class Entry:
    """One entry of the log.

    Args:
        level: DEBUG, INFO, WARNING, ERROR, CRITICAL, FATAL ...
        origin: VTK, Qt, Python, Stream, FD ...
        text: The message, of one line or several.
    """

    level: str
    origin: str
    text: str


def parse(text: str) -> list[Entry]:
    """Return the entries of a log; lines of a stream that follow each other, such as a traceback, become one."""
    entries: list[Entry] = []
    for line in text.splitlines():
        found = _ENTRY.match(line)
        last = entries[-1] if entries else None
        if found is None:
            if last is not None:
                entries[-1] = replace(last, text=f"{last.text}\n{line}")
            continue
        level, origin, message = found["level"], found["origin"], found["text"]
        is_more = last is not None and origin in _STREAMS and (last.level, last.origin) == (level, origin)
        if is_more and last is not None and not _is_mark(message) and not _is_mark(last.text):
            entries[-1] = replace(last, text=f"{last.text}\n{message}")
        else:
            entries.append(Entry(level, origin, message))
    return entries


def by_step(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """Return the entries of each step; those before the first one under the empty name."""
    steps: dict[str, list[Entry]] = {"": []}
    current = ""
    for entry in entries:
        if BEGIN in entry.text:
            current = _name_after(BEGIN, entry)
            steps.setdefault(current, [])
        elif DONE in entry.text:
            # Slicer logs it twice: as Python's record, and as what the console shows.
            steps.setdefault(_name_after(DONE, entry), []).extend(steps[current])
            steps[current] = []
        else:
            steps[current].append(entry)
    return steps


def printed_traceback(printed: str, log: str) -> list[Entry]:
    """Return the first traceback that was printed, where the log has none, as an entry; or nothing."""
    if TRACEBACK in log or TRACEBACK not in printed:
        return []
    lines = printed[printed.index(TRACEBACK) :].splitlines()
    return [Entry("ERROR", "Output", "\n".join(lines[:_TRACEBACK_LINES]))]


def sort_errors(
    steps: dict[str, list[Entry]], allowed: Sequence[re.Pattern[str]] = ()
) -> tuple[list[Entry], list[Entry]]:
    """Separate the errors that count from those of Slicer's own start, of drivers, and of the allowed patterns.

    Args:
        steps: The entries, see `by_step`.
        allowed: Errors that match one of these do not count.

    Returns:
        The errors that count, and the others.
    """
    ours, others = [], []
    for step, entries in steps.items():
        for entry in entries:
            if entry.level not in ERRORS and not _is_traceback(entry):
                continue
            counts = _OURS.search(entry.text) or (step and entry.origin not in _STREAMS)
            allow = any(pattern.search(entry.text) for pattern in allowed)
            (ours if counts and not allow else others).append(entry)
    return ours, others


def _is_mark(text: str) -> bool:
    return BEGIN in text or DONE in text


def _name_after(mark: str, entry: Entry) -> str:
    return entry.text.partition(mark)[2].split()[0]


def _is_traceback(entry: Entry) -> bool:
    return TRACEBACK in entry.text
