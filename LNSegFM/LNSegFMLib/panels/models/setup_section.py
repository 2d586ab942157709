"""The section Setup: what is missing, and one button that gets it."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Sequence
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from lnsegfm.base.background import Task
from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.home import Home
from lnsegfm.base.text_tail import tail
from lnsegfm.session import Session
from lnsegfm.setup.compute_check import SelfCheck, run_self_check
from LNSegFMLib.panels.common.panel_host import PanelHost
from LNSegFMLib.panels.common.section import Section
from LNSegFMLib.panels.common.work_bar import WorkBar
from LNSegFMLib.panels.models.leftovers import LeftoverCheck
from LNSegFMLib.setup.packages import (
    OPENVINO,
    foreign_python,
    missing_packages,
    needs_extension_for_gpu,
    offers_openvino,
    start_installation,
)
from LNSegFMLib.setup.system_report import system_report

_LOG_LINES = 200
_REPORTED_LINES = 40


def _do_nothing() -> None:
    return


class SetupSection(Section):
    """What this module needs to segment.

    Args:
        host: The module's widget.
        ui_file: Path of SetupSection.ui.
        release_packages: Ends the processes that use the packages; Windows does not replace files in use.
        get_model: Gets a model for patients, when only that is missing.
        on_installed: Called when packages were installed that can be used at once.
    """

    def __init__(
        self, host: PanelHost, ui_file: str, *, release_packages: Callable[[], object] = _do_nothing,
        get_model: Callable[[], object] = _do_nothing, on_installed: Callable[[], object] = _do_nothing,
    ) -> None:
        super().__init__(host, ui_file)
        self._release_packages = release_packages
        self._get_model = get_model
        self._on_all_there = on_installed
        self._check: SelfCheck | None = None
        self._missing: list[str] = []
        self._report_wanted = False
        self._changed: list[str] = []  # packages that changed while they were in use
        ui = self.ui
        self._bar = WorkBar(ui.setupWorkLabel, ui.setupProgressBar, ui.setupCancelButton)
        ui.selfCheckLabel.setVisible(False)
        for button, slot in (
            (ui.setupInstallButton, self.on_install),
            (ui.selfCheckButton, self.on_check),
            (ui.repairButton, self.on_repair),
            (ui.wheelsButton, self.on_wheels),
            (ui.reportButton, self.on_report),
            (ui.leftoversButton, self.on_leftovers),
            (ui.openvinoButton, self.on_openvino),
        ):
            button.connect("clicked(bool)", slot)
        ui.installationLogCollapsibleButton.connect("contentsCollapsed(bool)", self._show_log)
        self._leftovers = LeftoverCheck(host, self._bar, self.update)
        self.update()
        # Who has everything has no need of this section; who lacks something should not have to look for it.
        ui.setupCollapsibleButton.collapsed = not self._missing

    def close(self) -> None:
        """End the work of this section, for the panel is being closed."""
        self._bar.close()

    # --- What is there

    def update(self) -> None:
        """Look again what is missing, and say so."""
        packages = missing_packages()
        has_model = any(model.card.kind != "demonstration" for model in Session().models.look().models)
        self._missing = [*packages, *([] if has_model else [_("a model for patients")])]
        ui, busy = self.ui, self._bar.busy
        foreign = foreign_python()
        if self._missing:
            ui.setupStatusLabel.text = _("Missing: {names}.").format(names=", ".join(self._missing))
        elif foreign:
            ui.setupStatusLabel.text = _("A model is installed.")
        else:
            versions = ", ".join(f"{name} {_version(name)}" for name in ("torch", "nnunetv2"))
            ui.setupStatusLabel.text = _("Everything is installed: {versions}.").format(versions=versions)
        if foreign:
            ui.setupStatusLabel.text += " " + _("The computation runs in the Python named by LNSEGFM_PYTHON.")
        if packages and needs_extension_for_gpu():
            ui.setupStatusLabel.text += " " + _("For an NVIDIA GPU, install the extension PyTorch first.")
        ui.setupInstallButton.text = _("Install") if packages or not self._missing else _("Get a model")
        ui.setupInstallButton.setVisible(bool(self._missing) and not busy)
        ui.selfCheckButton.enabled = not busy and not packages
        ui.reportButton.enabled = ui.leftoversButton.enabled = not busy
        ui.wheelsButton.enabled = ui.openvinoButton.enabled = not busy and not foreign
        device = self._check.device if self._check is not None else ""
        ui.openvinoButton.setVisible(not packages and offers_openvino(device))
        ui.repairButton.enabled = not busy and not foreign and self._check is not None and self._check.broken

    # --- Installation

    def on_install(self) -> None:
        """Install the packages, or get a model when they are there."""
        if missing_packages():
            question = _("Install the Python packages {names}? They take about 3 GB. You can keep working in Slicer.")
            if slicer.util.confirmOkCancelDisplay(question.format(names=", ".join(missing_packages()))):
                self._start()
        else:
            self._get_model()

    def on_wheels(self) -> None:
        """Install the packages from a folder of wheels."""
        title = _("Install from a folder of wheels (.whl)")
        folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), title, "")
        if folder and not missing_packages() and any(Path(folder).glob("openvino-*.whl")):
            self._start(only=[OPENVINO], wheels=Path(folder), alone=True)
        elif folder:
            self._start(wheels=Path(folder))

    def on_openvino(self) -> None:
        """Install OpenVINO, with which CPUs segment faster."""
        question = _(
            "Install OpenVINO (about 60 MB)? Segmentation on this computer's CPU then takes about half the time. "
            "You can keep working in Slicer."
        )
        if slicer.util.confirmOkCancelDisplay(question):
            self._start(only=[OPENVINO], alone=True)

    def on_repair(self) -> None:
        """Reinstall PyTorch."""
        question = _("PyTorch is installed but does not work. Reinstall it? This downloads about 3 GB.")
        if slicer.util.confirmOkCancelDisplay(question):
            self._start(repair=True)

    def _start(
        self, *, only: Sequence[str] = (), wheels: Path | None = None, repair: bool = False, alone: bool = False
    ) -> None:
        self._release_packages()
        try:
            task = start_installation(_log(), only=only, wheels=wheels, repair=repair, alone=alone)
        except UserError as error:
            self._bar.say(error.what)
            self.host.show_error(error)
            return
        self.host.start_work("packages", task, self._on_installed)
        self._bar.watch(task, self._on_ended)
        self.update()

    def _on_installed(self, changed: list[str]) -> None:
        self.update()
        if changed:
            self._changed = changed
            # While a slot of the panel's timer shows a dialog, all other work stands still.
            qt.QTimer.singleShot(0, self._offer_restart)
        elif not missing_packages():
            self.on_check()
            self._on_all_there()

    def _offer_restart(self) -> None:
        question = _("{names} changed while Slicer was using it. Restart Slicer now? Save your work first.")
        if slicer.util.confirmYesNoDisplay(question.format(names=", ".join(self._changed))):
            slicer.util.restart()
        else:
            self._bar.say(_("Restart Slicer before you segment."))

    def _on_ended(self) -> None:
        self.update()
        self._show_log()

    def _show_log(self, *_collapsed: bool) -> None:
        if not self.ui.installationLogCollapsibleButton.collapsed:
            self.ui.installationLogEdit.setPlainText("\n".join(tail(_log(), _LOG_LINES)))
            self.ui.installationLogEdit.moveCursor(qt.QTextCursor.End)

    # --- What killed processes have left

    def on_leftovers(self) -> None:
        """Look for what killed processes have left, and delete it once the user has agreed."""
        self._leftovers.start()

    # --- Self-check and report

    def on_check(self) -> None:
        """Compute something tiny on the chosen device, in another process."""
        parameters = self.host.parameters
        device = "auto" if parameters is None else parameters.Device
        task = Task(run_self_check, device)
        self.host.start_work("self-check", task, self._on_checked, self._on_not_checked)
        self._bar.watch(task, self.update)
        self._bar.say(_("Checking..."))
        self.update()

    def _on_checked(self, check: SelfCheck) -> None:
        self._check = check
        self.ui.selfCheckLabel.text = check.words
        self.ui.selfCheckLabel.setVisible(True)
        self.update()
        if self._report_wanted:
            self._copy_report()

    def _on_not_checked(self, problem: UserError | Cancelled) -> None:
        if isinstance(problem, UserError):
            self.host.show_error(problem)
        if self._report_wanted:
            self._copy_report()

    def on_report(self) -> None:
        """Copy the report to the clipboard, after a self-check where none was made: it names the devices."""
        if self._check is None and not missing_packages():
            self._report_wanted = True
            self.on_check()
        else:
            self._copy_report()

    def _copy_report(self) -> None:
        self._report_wanted = False
        found = self._check.words if self._check is not None else ""
        slicer.app.clipboard().setText(system_report(found, tail(_log(), _REPORTED_LINES)))
        self._bar.say(_("The report was copied to the clipboard; read it before you send it."))


def _log() -> Path:
    return Home.default().root / "installation-log.txt"


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""
