"""What a part reports: its steps, as `inside.steps` writes them, and what its Slicer has to say in its log."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from real_slicer.slicer_log import Entry

STATES = ("passed", "failed", "skipped")


@dataclass(frozen=True)
class Step:
    """One step.

    Args:
        name: Unique in its part.
        title: What is done.
        state: One of `STATES`.
        words: Why it failed or was skipped; empty when it passed.
        pictures: File names below the part's folder.
        seconds: How long it took.
        lacks_packages: Whether it was skipped because Slicer's Python lacks packages.
    """

    name: str
    title: str
    state: str
    words: str = ""
    pictures: tuple[str, ...] = ()
    seconds: float = 0.0
    lacks_packages: bool = False


@dataclass
class PartReport:
    """One part.

    Args:
        name: Of the part.
        title: For the page.
        folder: Where its pictures are.
        steps: In order.
        log: Slicer's log, by step; the empty name is what comes before the first one.
        errors: What is wrong in the log.
        notes: Errors in the log that are not ours.
        output_tail: The last lines that Slicer printed.
    """

    name: str
    title: str
    folder: Path
    steps: list[Step] = field(default_factory=list)
    log: dict[str, list[Entry]] = field(default_factory=dict)
    errors: list[Entry] = field(default_factory=list)
    notes: list[Entry] = field(default_factory=list)
    output_tail: str = ""

    @property
    def failed(self) -> bool:
        """Whether a step failed or the log has errors of ours."""
        return bool(self.errors) or any(step.state == "failed" for step in self.steps)

    def add_failure(self, name: str, title: str, words: str) -> None:
        """Add a step that failed."""
        self.steps.append(Step(name, title, "failed", words))


def read_steps(path: Path) -> tuple[list[Step], dict[str, Any]]:
    """Read what the inside has written so far.

    Args:
        path: The file; that it is missing means that no step was begun.

    Returns:
        The steps that ended, and the rest of the file: ``log_file``, ``begun`` (title of a step without an end),
        ``ended``.
    """
    if not path.is_file():
        return [], {}
    content = json.loads(path.read_text(encoding="utf-8"))
    steps = [Step(**{**step, "pictures": tuple(step["pictures"])}) for step in content.pop("steps")]
    return steps, content
