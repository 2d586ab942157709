"""How models come to this computer: downloaded where they are published, or imported from disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from lnsegfm.base.background import Pending, Task
from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.home import Home
from lnsegfm.models.published.drive import Drive, GdownDrive
from lnsegfm.models.published.model_download import Fetched, ModelDownloads
from lnsegfm.session import Session
from LNSegFMLib.panels.common.panel_host import PanelHost, errors_shown
from LNSegFMLib.panels.common.work_bar import WorkBar
from LNSegFMLib.setup.packages import GDOWN, is_met, start_installation


class ModelGetter:
    """Downloads, imports and installs models; one at a time, and each is chosen when it is there.

    Args:
        host: The module's widget.
        bar: Shows what is being done.
        install: Installs a model from a file or folder; the value has its id as ``model``.
        drive: Google Drive; None for the one of gdown, which is installed when it is needed.
        on_end: Called when some work has ended.
    """

    def __init__(
        self, host: PanelHost, bar: WorkBar, install: Callable[[str], Pending], drive: Drive | None,
        on_end: Callable[[], object],
    ) -> None:
        self._host, self._bar, self._install, self._drive, self._on_end = host, bar, install, drive, on_end
        self._waiting: list[tuple[str, str, str]] = []  # source, display name, id in the catalogue
        self._entry: dict[str, Any] = {}  # what is being downloaded
        self._fetched: Fetched | None = None

    @property
    def downloads(self) -> ModelDownloads:
        """The room for downloads."""
        return ModelDownloads(Home.default())

    def download(self, entry: dict[str, Any]) -> None:
        """Download an entry of the catalogue, or what is missing of it, and install it."""
        self._entry = entry
        if "drive_names" not in entry or self._drive is not None or is_met(GDOWN):
            self._fetch()
            return
        question = _("Downloads from Google Drive need the Python package gdown. Install it now?")
        if slicer.util.confirmOkCancelDisplay(question):
            with errors_shown(self._host):
                log = Home.default().root / "installation-log.txt"
                self._start("gdown", start_installation(log, only=[GDOWN]), self._on_gdown)

    def import_paths(self, paths: list[str]) -> None:
        """Install models from files and folders, one after the other."""
        if self._bar.busy:
            self._bar.say(_("Wait for the current task to finish, then try again."))
        elif paths:
            self._install_next([(path, "", "") for path in paths])

    # --- Download

    def _on_gdown(self, _changed: list[str]) -> None:
        self._fetch()

    def _fetch(self) -> None:
        self._start("download", Task(self.downloads.fetch, self._entry, self._drive or GdownDrive()), self._on_fetched)

    def _on_fetched(self, fetched: Fetched) -> None:
        self._fetched = fetched
        # What follows may ask, and while a slot of the panel's timer shows a dialog all other work stands still.
        qt.QTimer.singleShot(0, self._install_fetched)

    def _install_fetched(self) -> None:
        fetched, self._fetched = self._fetched, None
        if fetched is None:
            return
        name, model_id = str(self._entry["name"]), str(self._entry["id"])
        if fetched.changed:
            question = _(
                "{files} of '{name}' is not the file that was downloaded the first time; its publisher gives no "
                "SHA-256 to compare with. Install it anyway?"
            )
            if not slicer.util.confirmOkCancelDisplay(question.format(files=", ".join(fetched.changed), name=name)):
                self._bar.say(_("Not installed."))
                return
            self.downloads.accept(model_id, fetched)
        self._install_next([(str(fetched.source), name, model_id)])

    # --- Installation

    def _install_next(self, sources: list[tuple[str, str, str]]) -> None:
        if not self._host.packages_ready():
            self._bar.say(_("Not installed: Python packages are missing; see Setup."))
            return
        self._waiting = sources
        with errors_shown(self._host):
            pending = self._install(sources[0][0])
            self._host.start_work("install-model", pending, self._on_installed, self._on_not_installed)
            self._bar.watch(pending, self._on_end)
            self._bar.say(_("Installing {name}...").format(name=Path(sources[0][0]).name))

    def _on_installed(self, value: dict[str, Any]) -> None:
        (_source, name, published_id), *rest = self._waiting
        is_new = value.get("is_new", True)
        if name and is_new:
            Session().models.rename(value["model"], name)
        if name:
            self.downloads.clear(published_id)
        self._host.use_model(value["model"])
        self._host.models_changed()
        said = _("The model is installed.")
        if not is_new:
            said = _("The same model is already installed as '{name}' ({id}).").format(
                name=value["name"], id=value["model"]
            )
        left_out = "; ".join(value.get("left_out", ()))
        parts = (
            said, value.get("words", ""), _("Left out: {things}.").format(things=left_out) if left_out else "",
            value.get("note", ""),
        )
        self._bar.say(" ".join(part for part in parts if part))
        if rest:
            self._install_next(rest)

    def _on_not_installed(self, problem: UserError | Cancelled) -> None:
        rest = self._waiting[1:]
        if isinstance(problem, UserError):
            self._host.show_error(problem)
            if rest:
                self._install_next(rest)

    def _start(self, name: str, pending: Pending, on_value: Callable[[Any], None]) -> None:
        self._host.start_work(name, pending, on_value)
        self._bar.watch(pending, self._on_end)
        self._on_end()
