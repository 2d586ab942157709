"""A section's line, progress bar and Cancel button for the one task that runs in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from lnsegfm.base.background import Pending
from lnsegfm.base.wording import duration

_POLL_MS = 150


class WorkBar:
    """Shows a task while it runs, and how it ended.

    It only looks: the values of work go where `PanelHost.start_work` was told to bring them.

    Args:
        label: QLabel for what is done.
        bar: QProgressBar.
        button: QPushButton that cancels.
    """

    def __init__(self, label: Any, bar: Any, button: Any) -> None:
        self._label, self._bar, self._button = label, bar, button
        self._pending: Pending | None = None
        self._on_end: Callable[[], object] | None = None
        self._timer = qt.QTimer()
        self._timer.setInterval(_POLL_MS)
        self._timer.connect("timeout()", self._show)
        self._button.connect("clicked(bool)", self._cancel)
        self._set_visible(False)
        self._label.setVisible(False)

    @property
    def busy(self) -> bool:
        """Whether a task is running."""
        return self._pending is not None

    def watch(self, pending: Pending, on_end: Callable[[], object]) -> None:
        """Show work from now on; ``on_end`` is called when it has ended, however it did."""
        self._end_what_is_done()
        self._pending, self._on_end = pending, on_end
        self._button.enabled = True
        self._label.text = ""
        self._set_visible(True)
        self._label.setVisible(True)
        self._show()
        self._timer.start()

    def say(self, text: str) -> None:
        """Show a sentence, about work that has ended or that cannot begin."""
        self._end_what_is_done()
        self._label.text = text
        self._label.setVisible(bool(text))

    def close(self) -> None:
        """Stop looking, and ask the work to stop."""
        self._timer.stop()
        if self._pending is not None:
            self._pending.cancel()

    def _cancel(self) -> None:
        if self._pending is not None:
            self._pending.cancel()
            self._button.enabled = False

    def _show(self) -> None:
        self._end_what_is_done()
        pending = self._pending
        if pending is None:
            return
        progress = pending.progress
        known = progress.fraction is not None
        self._bar.setMaximum(100 if known else 0)
        self._bar.setValue(round(100 * (progress.fraction or 0.0)))
        if not progress.message:
            return
        parts = [progress.message]
        if pending.cancel_requested:
            parts = [_("Cancelling: {step}").format(step=progress.message)]
        if progress.remaining_s is not None and 0 < (progress.fraction or 0.0) < 1:
            parts.append(_("about {time} left").format(time=duration(progress.remaining_s)))
        self._label.text = ", ".join(parts)

    def _end_what_is_done(self) -> None:
        pending, on_end = self._pending, self._on_end
        if pending is None or not pending.done:
            return
        self._timer.stop()
        self._pending = self._on_end = None
        self._set_visible(False)
        self.say(_("Cancelled.") if pending.cancelled else pending.error.what if pending.error else "")
        if on_end is not None:
            on_end()

    def _set_visible(self, visible: bool) -> None:
        self._bar.setVisible(visible)
        self._button.setVisible(visible)
