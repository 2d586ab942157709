"""A CT whose values do not look like HU is segmented only when the user says that they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lnsegfm_panel import add_ct, finish_queue, open_queue, queue_states, segment, segmentations


def failed(widget: Any) -> dict[str, bool]:
    return {name: state.startswith("failed: Not HU.") for name, state in queue_states(widget).items()}


@pytest.mark.parametrize("answer", [True, False])
def test_the_user_is_asked_with_what_was_seen(app: Any, widget: Any, answer: bool) -> None:
    add_ct("Odd")
    app.answers.append(answer)
    made = segment(app, widget, "doubt")
    kind, text = app.dialogs[0][:2]
    assert kind == "confirm" and "Not HU." in text and "It seems." in text and "Segment nevertheless" in text
    assert (made is not None) is answer
    assert failed(widget) == {"Odd": not answer}


def test_in_a_queue_it_is_asked_when_the_row_is_tried_again(app: Any, widget: Any) -> None:
    for name in ("A", "B"):
        add_ct(name)
    app.choose(widget.ui.modelSelector, "doubt")
    open_queue(app, widget)
    app.click(widget.ui.addAllButton)
    finish_queue(app, widget)
    assert failed(widget) == {"A": True, "B": True} and app.dialogs == []
    widget.ui.queueTable.setCurrentCell(1, 0)
    app.answers.append(True)
    app.click(widget.ui.retryButton)
    finish_queue(app, widget)
    assert failed(widget) == {"A": True, "B": False} and len(segmentations()) == 1


def change(volume: Any, values: Callable[[np.ndarray], np.ndarray]) -> None:
    import slicer

    array = slicer.util.arrayFromVolume(volume)
    array[:] = values(array)
    slicer.util.arrayFromVolumeModified(volume)


@pytest.mark.parametrize("answer", [True, False])
@pytest.mark.parametrize(
    ("values", "seen", "said"),
    [
        (lambda array: array + 1024, "values do not look like HU", "taken as HU, as was asked for"),
        (lambda array: np.where(array > 200, 1500, array), "They lie in bone", "labelled voxels are air, fat or bone"),
    ],
    ids=["values", "labels"],
)
def test_accepting_asks_and_says_what_is_odd(
    app: Any, widget: Any, answer: bool, values: Callable[[np.ndarray], np.ndarray], seen: str, said: str
) -> None:
    volume = add_ct()
    app.process_events()
    segment(app, widget)
    change(volume, values)
    app.answers.append(answer)
    app.click(widget.ui.acceptButton)
    app.wait_until(lambda: app.dialogs and not widget.is_working("accept"), 60, "the answer")
    kind, text = app.dialogs[0][:2]
    assert kind == "confirm" and seen in text and "Store the case nevertheless" in text
    stored = widget.logic.bench.cases.list()
    assert len(stored) == answer and (said in widget.ui.caseLabel.text) is answer


def test_trying_all_again_asks_once_and_names_them(app: Any, widget: Any) -> None:
    for name in ("A", "B"):
        add_ct(name)
    app.choose(widget.ui.modelSelector, "doubt")
    open_queue(app, widget)
    app.click(widget.ui.addAllButton)
    finish_queue(app, widget)
    widget.ui.queueTable.clearSelection()
    widget.ui.queueTable.setCurrentCell(-1, -1)
    app.answers.append(False)
    widget.segment.on_retry()
    assert failed(widget) == {"A": True, "B": True}
    ((kind, text, *_),) = app.dialogs
    assert kind == "confirm" and "(A, B)" in text and "The answer holds for all 2" in text
    app.answers.append(True)
    widget.segment.on_retry()
    finish_queue(app, widget)
    assert failed(widget) == {"A": False, "B": False} and len(segmentations()) == 2
