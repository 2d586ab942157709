"""The work beside a panel."""

from __future__ import annotations

import threading
from typing import Any

import pytest

pytest.importorskip("PySide6")
pytest.importorskip("vtk")

from lnsegfm.base.background import Task


def test_dropped_work_counts_until_it_has_ended(app: Any) -> None:
    """The panel's timer must go on for it: it still clears away its files."""
    from LNSegFMLib.panels.common.panel_work import PanelWork

    work, may_end, values = PanelWork(), threading.Event(), []
    work.start("segment", Task(may_end.wait), values.append)
    with pytest.raises(ValueError, match="'segment'"):
        work.start("segment", Task(list), values.append)
    work.drop("segment")
    assert "segment" not in work and work
    may_end.set()
    app.wait_until(lambda: not work, 10, "the end of the work")
    assert values == []
