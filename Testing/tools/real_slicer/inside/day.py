"""The clinician's day of ``make preview``, with the widgets of a real Slicer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from unittest import mock

import qt
import slicer

from real_slicer.inside.self_tests import require_packages
from real_slicer.inside.steps import Steps, expect
from real_slicer.inside.user import FileDialogs, Pictures, User


def run(steps: Steps, part: str) -> None:
    """Spend the day as one step, with a picture of each of its parts."""
    steps.run("evening", "The day ends with the model that it began with", lambda: spend(steps))


@dataclass(frozen=True)
class Settings:
    """How large the day is: that of the tests, see `preview.walk.Settings`."""

    size: tuple[int, int, int] = (64, 64, 32)
    seeds: tuple[int, ...] = (1, 2, 6)
    epochs: int = 2
    iterations: int = 10
    pause_at: int = 3
    quality: str = "fast"


def spend(steps: Steps) -> None:
    """Segment, review, correct, adapt, decide, and go back."""
    require_packages()
    from preview.day import spend_day  # here, because the phantoms need scipy

    user = User(steps)
    book: Any = Pictures(user, steps)
    settings: Any = Settings()
    files = steps.folder / "files"
    files.mkdir()
    widgets = tuple(slicer.util.getModuleWidget(name) for name in ("LNSegFM", "LNSegFMFineTune"))
    with mock.patch.object(qt, "QFileDialog", FileDialogs(user.app.answers)):
        day = spend_day(user, book, widgets, settings, files)
    expect(day.geometry_kept, "Expected every segmentation on the grid of its CT.")
    base, adapted = day.scores.values()
    expect(adapted > 0, f"Expected the adapted model to find lymph nodes. DSC before {base:.3f}, after {adapted:.3f}.")
