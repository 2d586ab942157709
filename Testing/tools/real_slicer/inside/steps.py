"""The steps of a part: each is run, pictured and written down at once, so that a crash loses nothing."""

from __future__ import annotations

import json
import logging
import os
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer

from real_slicer.inside.dialogs import DialogWatch

# real_slicer.slicer_log looks for them.
BEGIN = "[real_slicer] begin "
DONE = "[real_slicer] done "
_SIZE_PX = (1600, 1050)
WAIT_S = 300.0


class Skipped(Exception):
    """A step cannot be done here.

    Args:
        why: The reason.
        packages: Whether it is that Slicer's Python lacks packages.
    """

    def __init__(self, why: str, *, packages: bool = False) -> None:
        super().__init__(why)
        self.packages = packages


class Steps:
    """Runs steps and keeps ``report.json``.

    Args:
        folder: Gets the report and the pictures.
        watch_s: How long each panel width is watched.
    """

    def __init__(self, folder: Path, watch_s: float) -> None:
        self.watch_s = watch_s
        self.folder = folder
        self._content: dict[str, Any] = {"log_file": _log_file(), "begun": "", "ended": False, "steps": []}
        self._pictures: list[str] = []
        self._start = time.monotonic()
        self._broken = ""  # title of the step without which the others make no sense
        window = slicer.util.mainWindow()
        if window is not None:
            window.resize(*_SIZE_PX)
        self._dialogs = DialogWatch(self.picture)
        self._write()

    def run(self, name: str, title: str, function: Callable[[], object], *, vital: bool = False) -> None:
        """Run a step; what it raises is its failure.

        Args:
            name: Unique in the part, of letters, digits and hyphens.
            title: What is done.
            function: Does it.
            vital: When it fails, the steps after it are skipped.
        """
        self._content["begun"], self._pictures = title, []
        self._write()
        logging.info(BEGIN + name)
        self._start = time.monotonic()
        state, words, lacks_packages = "passed", "", False
        try:
            if self._broken:
                raise Skipped(f"'{self._broken}' failed.")
            function()
        except Skipped as reason:
            state, words, lacks_packages = "skipped", str(reason), reason.packages
        except Exception as error:
            state, words = "failed", _words(error)
            if vital:
                self._broken = title
        words = " ".join(filter(None, [words, self._dialogs.take()]))
        if self._dialogs.found and state == "passed":
            state = "failed"
        self._dialogs.found = False
        if state != "skipped":
            self.picture(name)
        entry = _entry(name, title, state, self._pictures, time.monotonic() - self._start)
        self._content["steps"].append({**entry, "words": words, "lacks_packages": lacks_packages})
        self._content["begun"] = ""
        self._write()

    def done(self, name: str, title: str) -> None:
        """Within a step: write down what was done since the last call, with a picture."""
        logging.info(DONE + name)
        outer, self._pictures = self._pictures, []
        self.picture(name)
        now = time.monotonic()
        self._content["steps"].append(_entry(name, title, "passed", self._pictures, now - self._start))
        self._start, self._pictures = now, outer
        self._write()

    def note(self, **values: Any) -> None:
        """Write something down for the one who started Slicer."""
        self._content.update(values)
        self._write()

    def until(self, condition: Callable[[], Any], what: str, seconds: float = WAIT_S) -> None:
        """Let Slicer work until something holds.

        Raises:
            AssertionError: It does not within the time, or a dialog came in between.
        """
        end = time.monotonic() + seconds
        while not condition():
            if self._dialogs.found:
                raise AssertionError(f"A dialog came up while waiting for {what}.")
            if time.monotonic() > end:
                raise AssertionError(f"Waited {seconds:.0f} s for {what}, which did not come.")
            slicer.app.processEvents()
            time.sleep(0.01)

    def pause(self, seconds: float) -> None:
        """Let Slicer work for a while."""
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end, "the time to pass", seconds + 60)

    def picture(self, name: str, widget: Any = None) -> None:
        """Take a picture of the main window, or of one widget."""
        target = widget if widget is not None else slicer.util.mainWindow()
        if target is None:
            return
        if widget is None and slicer.app.layoutManager() is not None:
            slicer.app.processEvents()
            slicer.util.forceRenderAllViews()
        file = f"{len(list(self.folder.glob('*.png'))) + 1:02d}-{name}.png"
        if target.grab().save(str(self.folder / file)):
            self._pictures.append(file)

    def close(self) -> int:
        """Write the end down and return the exit status: 1 when a step failed."""
        self._dialogs.stop()
        self._content.update(begun="", ended=True)
        self._write()
        return int(any(step["state"] == "failed" for step in self._content["steps"]))

    def _write(self) -> None:
        path = self.folder / "report.json"
        new = path.with_suffix(".new")
        new.write_text(json.dumps(self._content, indent=1), encoding="utf-8")
        os.replace(new, path)


def expect(condition: Any, words: str) -> None:
    """Raise AssertionError with the words when the condition does not hold."""
    if not condition:
        raise AssertionError(words)


def expect_equal(found: Any, expected: Any, words: str) -> None:
    """Raise AssertionError when two values differ."""
    if found != expected:
        raise AssertionError(f"{words} Expected {expected!r}, found {found!r}.")


def _entry(name: str, title: str, state: str, pictures: list[str], seconds: float) -> dict[str, Any]:
    return {"name": name, "title": title, "state": state, "pictures": pictures, "seconds": round(seconds, 1)}


def _words(error: Exception) -> str:
    if isinstance(error, AssertionError):
        return str(error)
    logging.error("".join(traceback.format_exception(type(error), error, error.__traceback__)))
    return f"{type(error).__name__}: {error}"


def _log_file() -> str:
    model = slicer.app.errorLogModel()
    return str(model.filePath)
