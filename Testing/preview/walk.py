"""The day of a radiation oncologist by clicks: from the first start to an adapted model, and back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preview.adapting import Adapting
from preview.book import Book
from preview.scans import Scan, load_scan
from preview.segmenting import Segmenting
from preview.user import User
from preview.widths import WIDTHS

REPOSITORY = Path(__file__).resolve().parents[2]
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
    segment_widget, tune_widget = (app.load_module(REPOSITORY / name / f"{name}.py") for name in MODULES)
    app.select_module("LNSegFM")
    segmenting = Segmenting(segment_widget, user, book, settings.quality)
    base, held_out = _morning(segmenting, settings, files)
    adapting = Adapting(tune_widget, user, book)
    adapted = _afternoon(segmenting, adapting, settings, held_out, files)
    scores = {base: segmenting.drafts[held_out.name], adapted: held_out.score(segmenting.segmentation)}
    app.select_module("LNSegFMFineTune")
    adapting.roll_back()
    segmenting.look_at_models("rolled-back", ", adapted")
    return Outcome(book.seen, book.pictures, scores, segmenting.geometry_kept, adapted)


def _morning(segmenting: Segmenting, settings: Settings, files: Path) -> tuple[str, Scan]:
    """Segment, review and correct; return the id of the model and the scan that was corrected last."""
    import slicer

    segmenting.start()
    segmenting.look_at_models("models", "ResEnc L")
    base = segmenting.model
    loaded = [load_scan(number, seed, settings.size) for number, seed in enumerate(settings.seeds, 1)]
    scans = {scan.name: scan for scan in loaded}
    slicer.util.setSliceViewerLayers(background=loaded[0].volume, fit=True)
    segmenting.segment_all(loaded)
    segmenting.open_next()
    segmenting.review()
    segmenting.look_at_probability()
    segmenting.correct_a_part(scans[segmenting.open_volume])
    for _ in range(len(scans) - 1):
        last = scans[segmenting.open_volume]
        segmenting.correct(last)
    segmenting.export(files)
    segmenting.picture_sections()
    return base, last


def _afternoon(
    segmenting: Segmenting, adapting: Adapting, settings: Settings, held_out: Scan, files: Path
) -> str:
    """Adapt, look at the evidence and segment with the adapted model; return its id."""
    import slicer

    slicer.util.selectModule("LNSegFMFineTune")
    adapting.sort_cases(len(settings.seeds))
    adapting.plan(settings.epochs, settings.iterations)
    adapting.train(settings.pause_at)
    adapting.look_at_evidence(files / "report.html")
    adapting.picture_sections()
    adapting.accept()
    segmenting.look_at_adapted(held_out)
    return segmenting.model
