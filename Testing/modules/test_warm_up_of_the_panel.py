"""Opening the module lets the worker load the chosen model, and never stands in the way."""

from __future__ import annotations

from typing import Any

import pytest

from lnsegfm.session import Session
from lnsegfm.session.segmenting import SegmentChoices


@pytest.fixture
def asked(app: Any, widget: Any, monkeypatch: pytest.MonkeyPatch) -> list[SegmentChoices]:
    settle(app, widget)
    found: list[SegmentChoices] = []
    monkeypatch.setattr(Session, "warm_up", lambda session, choices: found.append(choices))
    return found


def settle(app: Any, widget: Any) -> None:
    app.wait_until(lambda: not widget.is_working("warm-up"), 30, "the start of the warm-up")


def test_entering_loads_the_chosen_model(app: Any, widget: Any, asked: list[SegmentChoices]) -> None:
    widget.parameters.Model, widget.parameters.Quality, widget.parameters.Backend = "moody", "fast", "torch"
    widget.enter()
    settle(app, widget)
    assert [(each.model, each.quality, each.backend) for each in asked] == [("moody", "fast", "torch")]


def test_nothing_is_loaded_without_packages(
    app: Any, widget: Any, asked: list[SegmentChoices], monkeypatch: pytest.MonkeyPatch
) -> None:
    from LNSegFMLib.panels.segmenting import segment_section

    monkeypatch.setattr(segment_section, "missing_packages", lambda: ["torch"])
    widget.enter()
    settle(app, widget)
    assert asked == []


def test_what_fails_is_not_shown(app: Any, widget: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(session: Session, choices: SegmentChoices) -> None:
        raise RuntimeError("of no interest before a segmentation")

    monkeypatch.setattr(Session, "warm_up", fail)
    before = len(app.dialogs)
    widget.enter()
    settle(app, widget)
    assert len(app.dialogs) == before


def test_a_worker_of_the_user_s_own_is_not_asked(app: Any, widget: Any) -> None:
    widget.enter()
    settle(app, widget)
    assert not widget.logic.bench.session.worker.running
