"""The day of a radiation oncologist by clicks: from the first start to an adapted model, and back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preview.book import Book
from preview.day import spend_day
from preview.user import User
from preview.widths import WIDTHS

REPOSITORY = Path(__file__).resolve().parents[3]
MODULES = ("LNSegFM", "LNSegFMFineTune")


@dataclass(frozen=True)
class Settings:
    """How large the day is.

    Args:
        size: Voxels of the phantoms, ``(x, y, z)``.
        seeds: The phantoms; the one that is corrected last is held out.
        epochs: Of the fine-tuning.
        iterations: Of one epoch.
        pause_at: Iteration at which the user presses Pause, or a little later.
        quality: Of the segmentations.
        widths: Of the panels in the pictures of whole panels, pixels.
    """

    size: tuple[int, int, int] = (64, 64, 32)
    seeds: tuple[int, ...] = (1, 2, 6)
    epochs: int = 4
    iterations: int = 15
    pause_at: int = 20
    quality: str = "fast"
    widths: tuple[int, ...] = WIDTHS


# For the tests; `Settings` as it is makes the pictures of the documents.
SMALL = Settings(epochs=2, iterations=10, pause_at=3, widths=())


@dataclass(frozen=True)
class Outcome:
    """What the walk saw.

    Args:
        seen: Texts and numbers by step, in order.
        pictures: File name of the picture by step; steps that only note something have none.
        scores: DSC of the held-out scan by model id.
        geometry_kept: Whether every segmentation had its volume's grid.
        model: Id of the adapted model.
    """

    seen: dict[str, dict[str, Any]]
    pictures: dict[str, str]
    scores: dict[str, float]
    geometry_kept: bool
    model: str


def walk(app: Any, settings: Settings, folder: Path) -> Outcome:
    """Do everything and return what was seen; `LNSEGFM_HOME` should be an empty folder.

    Args:
        app: The running stand-in.
        settings: See `Settings`.
        folder: For the pictures, and ``files`` in it for what the user writes.
    """
    user = User(app)
    book = Book(user, folder, settings.widths)
    files = folder / "files"
    files.mkdir(parents=True)
    widgets = tuple(app.load_module(REPOSITORY / name / f"{name}.py") for name in MODULES)
    day = spend_day(user, book, widgets, settings, files)
    return Outcome(book.seen, book.pictures, day.scores, day.geometry_kept, day.model)
