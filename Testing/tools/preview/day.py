"""What is done in a day, with modules that are loaded: in the stand-in and in a real Slicer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from preview.adapting import Adapting
from preview.scans import Scan, load_scan
from preview.segmenting import Segmenting

if TYPE_CHECKING:
    from preview.book import Book
    from preview.walk import Settings


@dataclass(frozen=True)
class Day:
    """What came out of it.

    Args:
        scores: DSC of the held-out scan by model id: of the base model, then of the adapted one.
        geometry_kept: Whether every segmentation had its volume's grid.
        model: Id of the adapted model.
    """

    scores: dict[str, float]
    geometry_kept: bool
    model: str


def spend_day(user: Any, book: Book, widgets: tuple[Any, ...], settings: Settings, files: Path) -> Day:
    """Do everything.

    Args:
        user: Drives Slicer: `preview.user.User`, or one with the same methods.
        book: Gets what is seen: a `preview.book.Book`, or one with the same methods.
        widgets: Of LN-Seg-FM and of LN-Seg-FM Fine-Tuning.
        settings: How large the day is.
        files: Folder for what the user writes.
    """
    segmenting, adapting = Segmenting(widgets[0], user, book, settings.quality), Adapting(widgets[1], user, book)
    user.app.select_module("LNSegFM")
    base, held_out = _morning(segmenting, settings, files)
    adapted = _afternoon(segmenting, adapting, settings, held_out, files)
    scores = {base: segmenting.drafts[held_out.name], adapted: held_out.score(segmenting.segmentation)}
    user.app.select_module("LNSegFMFineTune")
    adapting.roll_back()
    segmenting.look_at_models("rolled-back", ", DGST")
    return Day(scores, segmenting.geometry_kept, adapted)


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
