"""The section Models: get, keep, pass on and remove models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from lnsegfm.base.background import Pending, Task
from lnsegfm.base.errors import UserError
from lnsegfm.base.home import slug
from lnsegfm.base.wording import explain
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.models.model_tree import family_tree
from lnsegfm.models.published.catalogue import published_models, recommended_model
from lnsegfm.models.published.drive import Drive
from lnsegfm.session import Session
from lnsegfm.session.models_part import ModelsThere
from LNSegFMLib.panels.common.drop_filter import DropFilter
from LNSegFMLib.panels.common.panel_host import PanelHost, errors_shown
from LNSegFMLib.panels.common.section import Section
from LNSegFMLib.panels.common.work_bar import WorkBar
from LNSegFMLib.panels.models.model_getter import ModelGetter
from LNSegFMLib.panels.models.model_tree_view import ModelTreeView
from LNSegFMLib.panels.models.rejected_models import may_use
from LNSegFMLib.texts.model_texts import (
    damaged_question,
    damaged_words,
    installed_words,
    parent_words,
    published_words,
)


def _not_in_use(model_id: str) -> str:
    del model_id
    return ""


class ModelsSection(Section):
    """Manager of the models of this computer.

    Args:
        host: The module's widget.
        ui_file: Path of ModelsSection.ui.
        install: Installs a model from a file or folder; the value has its id as ``model``.
        in_use: Tells what in this module needs a model, by its id; empty when nothing does.
        drive: Google Drive; None for the one of gdown, which is installed when it is needed.
        session: Knows the models and jobs; None for one of its own.
    """

    def __init__(
        self, host: PanelHost, ui_file: str, *, install: Callable[[str], Pending],
        in_use: Callable[[str], str] = _not_in_use, drive: Drive | None = None, session: Session | None = None,
    ) -> None:
        super().__init__(host, ui_file)
        self._session = session or Session()
        self._in_use = in_use
        self._shown: ModelsThere | None = None
        ui = self.ui
        self._bar = WorkBar(ui.modelsWorkLabel, ui.modelsProgressBar, ui.modelsCancelButton)
        self._getter = ModelGetter(host, self._bar, install, drive, self.update)
        self._view = ModelTreeView(ui.modelTree, self._show_chosen)
        self._drops = DropFilter(ui.modelTree.viewport(), self._getter.import_paths)
        self._menu = qt.QMenu(ui.importModelButton)
        for text, slot in (
            (_("From a file (zip or pth)..."), self.on_import_file), (_("From a folder..."), self.on_import_folder)
        ):
            action = qt.QAction(text, self._menu)
            action.connect("triggered(bool)", slot)
            self._menu.addAction(action)
        ui.importModelButton.setMenu(self._menu)
        for button, slot in (
            (ui.downloadModelButton, self.on_download),
            (ui.useModelButton, self.on_use),
            (ui.renameModelButton, self.on_rename),
            (ui.verifyModelButton, self.on_verify),
            (ui.exportModelButton, self.on_export),
            (ui.removeModelButton, self.on_remove),
        ):
            button.connect("clicked(bool)", slot)
        self.update()

    def close(self) -> None:
        """End the work of this section; what was downloaded so far is kept."""
        self._drops.close()
        self._bar.close()

    # --- What is there

    def update(self) -> None:
        """Show the models that are installed now."""
        there = self._session.models.look()
        if there != self._shown:
            self._shown = there
            entries = [entry for entry in published_models() if "download" in entry]
            self._view.fill(entries, family_tree(there.models), there.accepted, set(there.rejected), there.damaged)
        self._show_chosen()

    def _show_chosen(self) -> None:
        ui, chosen, idle = self.ui, self._view.chosen, not self._bar.busy
        entry, model = chosen.published, chosen.installed
        ui.downloadModelButton.enabled = idle and entry is not None and entry["supported"]
        for button in (ui.useModelButton, ui.renameModelButton, ui.verifyModelButton, ui.exportModelButton):
            button.enabled = idle and model is not None
        ui.removeModelButton.enabled = idle and (model is not None or chosen.damaged is not None)
        ui.importModelButton.enabled = idle
        words, more = "", ""
        if entry is not None:
            words, more = published_words(entry, self._getter.downloads.recorded(entry["id"]))
        elif model is not None:
            there = self._shown
            others = there.models if there is not None else ()
            rejected = there is not None and model.id in there.rejected
            words, more = installed_words(model, rejected, parent_words(model, others))
        elif chosen.damaged is not None:
            words, more = damaged_words(chosen.damaged), str(chosen.damaged.path)
        elif self._shown is not None and self._shown.problem is not None:
            words = explain(self._shown.problem)
        ui.modelDetailLabel.text = words
        ui.modelDetailLabel.toolTip = more
        ui.modelDetailLabel.setVisible(bool(words))

    def _installed(self) -> ModelInfo | None:
        return self._view.chosen.installed

    # --- Download

    def get_recommended(self) -> None:
        """Download the first published model, for users who have none yet."""
        self.ui.modelsCollapsibleButton.collapsed = False
        with errors_shown(self.host):
            self._view.select_published(recommended_model()["id"])
            self.on_download()

    def on_download(self) -> None:
        """Download the chosen published model, then install it."""
        entry = self._view.chosen.published
        if entry is not None and not self._bar.busy:
            self._getter.download(entry)

    # --- Import

    def on_import_file(self) -> None:
        """Install a model from a file."""
        filters = _("Models (*.zip *.pth)") + ";;" + _("All files (*)")
        path = qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), _("Import a model from a file"), "", filters)
        self._getter.import_paths([path] if path else [])

    def on_import_folder(self) -> None:
        """Install a model from a folder."""
        title = _("Import a model from an nnU-Net results folder")
        path = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), title, "")
        self._getter.import_paths([path] if path else [])

    # --- Installed models

    def on_use(self) -> None:
        """Choose the model for the next segmentation."""
        model = self._installed()
        if model is not None and may_use(self._session.models, model.id):
            self.host.use_model(model.id)
            self._bar.say(_("{name} is now used for segmentation.").format(name=model.name))

    def on_rename(self) -> None:
        """Ask for another display name."""
        model = self._installed()
        if model is None:
            return
        title, question = _("Rename the model"), _("Name:")
        name = qt.QInputDialog.getText(slicer.util.mainWindow(), title, question, qt.QLineEdit.Normal, model.name)
        if name and name.strip():
            with errors_shown(self.host):
                self._session.models.rename(model.id, name)
            self.host.models_changed()

    def on_verify(self) -> None:
        """Compare the files with their recorded hashes."""
        model = self._installed()
        if model is not None:
            self._start("verify-model", Task(self._session.models.verify, model.id), self._on_verified)
            self._bar.say(_("Verifying {name}...").format(name=model.name))

    def _on_verified(self, model: ModelInfo) -> None:
        self._bar.say(_("All {count} files are unchanged since installation.").format(count=len(model.files)))

    def on_export(self) -> None:
        """Write the model as a zip."""
        model = self._installed()
        if model is None:
            return
        question = _("'{name}' has adapters, which stock nnU-Net cannot load; only LN-Seg-FM can. Export it?")
        if not model.card.stock and not slicer.util.confirmOkCancelDisplay(question.format(name=model.name)):
            return
        title, suggestion = _("Export the model as a zip"), f"{slug(model.name)}.zip"
        path = qt.QFileDialog.getSaveFileName(slicer.util.mainWindow(), title, suggestion, _("Zip (*.zip)"))
        if path:
            target = Path(path) if path.lower().endswith(".zip") else Path(f"{path}.zip")
            # The dialog has asked whether an existing file is to be replaced.
            task = Task(self._session.models.export, model.id, target, overwrite=True)
            self._start("export-model", task, self._on_exported)
            self._bar.say(_("Exporting {name}...").format(name=model.name))

    def _on_exported(self, _nothing: None) -> None:
        self._bar.say(_("The model was exported."))

    def on_remove(self) -> None:
        """Delete the model, after a question that names what descends from it."""
        model, damaged = self._installed(), self._view.chosen.damaged
        if damaged is not None and slicer.util.confirmOkCancelDisplay(damaged_question(damaged)):
            self._remove(damaged.id, damaged.id)
        if model is None:
            return
        reason = self._in_use(model.id)
        jobs = self._session.jobs.users_of(model=model.id)
        if jobs:
            reason = _("It is needed by {jobs} of LN-Seg-FM Fine-Tuning.").format(jobs=", ".join(jobs))
        if reason:
            todo = _("Wait until it has finished, or cancel it.")
            self.host.show_error(UserError(_("'{name}' is in use.").format(name=model.name), reason, todo))
            return
        heirs = ", ".join(each.name for each in self._session.models.descendants(model.id))
        question = _("Delete '{name}' from this computer? This cannot be undone.").format(name=model.name)
        if heirs:
            question += "\n\n" + _(
                "These models were adapted from it. They are kept, but can no longer be rolled back to it: {names}."
            ).format(names=heirs)
        if slicer.util.confirmOkCancelDisplay(question):
            self._remove(model.id, model.name)

    def _remove(self, model_id: str, name: str) -> None:
        with errors_shown(self.host):
            self._session.models.remove(model_id)
            self._bar.say(_("{name} was removed.").format(name=name))
        self.host.models_changed()

    # --- Helpers

    def _start(self, name: str, pending: Pending, on_value: Callable[[Any], None]) -> None:
        self.host.start_work(name, pending, on_value)
        self._bar.watch(pending, self.update)
        self._show_chosen()
