"""The ways to install a model, as a menu of a button."""

from __future__ import annotations

from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from LNSegFMLib.core.catalogue import download_page
from LNSegFMLib.panels.host import PanelHost, errors_shown
from LNSegFMLib.scene.workbench import Workbench


class InstallMenu:
    """From a file, from a folder, or from where the models are published."""

    def __init__(self, host: PanelHost, bench: Workbench, button: Any, label: Any) -> None:
        self._host, self._bench, self._label = host, bench, label
        self._menu = qt.QMenu(button)
        for text, slot in (
            (_("From a file (zip or pth)..."), self.on_file),
            (_("From a folder..."), self.on_folder),
            (_("Get the published models..."), self.on_download_page),
        ):
            action = qt.QAction(text, self._menu)
            action.connect("triggered(bool)", slot)
            self._menu.addAction(action)
        button.setMenu(self._menu)

    def on_file(self) -> None:
        """Install from a file."""
        filters = _("Models (*.zip *.pth)") + ";;" + _("All files (*)")
        title = _("Install a model from a file")
        self._install(qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), title, "", filters))

    def on_folder(self) -> None:
        """Install from a folder."""
        title = _("Install a model from an nnU-Net results folder")
        self._install(qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), title, ""))

    def on_download_page(self) -> None:
        """Open the page of the published models."""
        qt.QDesktopServices.openUrl(qt.QUrl(download_page()))

    def _install(self, source: str) -> None:
        if source and self._host.packages_ready():
            with errors_shown(self._host):
                self._host.start_work("install", self._bench.install(source), self._on_installed)
                self._label.text = _("Installing the model...")

    def _on_installed(self, value: dict[str, Any]) -> None:
        self._host.use_model(value["model"])
        self._label.text = _("The model is installed.")
