"""The tree of models: the published ones, and the installed ones by descent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import qt
from slicer.i18n import tr as _

from lnsegfm.models.damaged import Damaged
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.models.model_tree import Branch, dice_change
from LNSegFMLib.texts.model_texts import damaged_name, listed_name


class Chosen(NamedTuple):
    """The model that is chosen: an entry of the catalogue, an installed one, or one that is damaged."""

    published: dict[str, Any] | None = None
    installed: ModelInfo | None = None
    damaged: Damaged | None = None


class ModelTreeView:
    """Fills a QTreeWidget, and tells what is chosen in it.

    Args:
        tree: The widget, with columns for name, DSC and date.
        on_chosen: Called when something else is chosen.
    """

    def __init__(self, tree: Any, on_chosen: Callable[[], object]) -> None:
        self._tree, self._on_chosen = tree, on_chosen
        self._models: dict[str, Chosen] = {}
        header = tree.header()
        header.setSectionResizeMode(0, qt.QHeaderView.Stretch)
        for column in (1, 2):
            header.setSectionResizeMode(column, qt.QHeaderView.ResizeToContents)
        tree.connect("itemSelectionChanged()", self._choose)

    @property
    def chosen(self) -> Chosen:
        """What is chosen now."""
        item = self._tree.currentItem()
        return Chosen() if item is None else self._models.get(item.data(0, qt.Qt.UserRole), Chosen())

    def fill(
        self, entries: Sequence[dict[str, Any]], branches: Sequence[Branch], default: str, rejected: set[str],
        damaged: Sequence[Damaged] = (),
    ) -> None:
        """Show these models; what was chosen stays so while it is there.

        Args:
            entries: Of the catalogue.
            branches: The installed models.
            default: Id of the installed one that was accepted last.
            rejected: Ids of installed ones that were rejected.
            damaged: What cannot be read, listed behind the installed ones.
        """
        item = self._tree.currentItem()
        wanted = "" if item is None else item.data(0, qt.Qt.UserRole)
        blocked = self._tree.blockSignals(True)
        self._tree.clear()
        self._models = {}
        installed = self._top(_("Installed"))
        for branch in branches:
            self._add(installed, branch, default, rejected)
        for each in damaged:
            row = self._row(installed, f"damaged:{each.id}", (damaged_name(each), "", ""), Chosen(damaged=each))
            row.setToolTip(0, each.why)
        published = self._top(_("Published"))
        for entry in entries:
            score = entry["internal_dice"]
            texts = (entry["name"], "" if score is None else f"{score:.2f}", "")
            row = self._row(published, f"published:{entry['id']}", texts, Chosen(published=entry))
            row.setToolTip(1, _("DSC in the authors' own internal validation."))
        self._tree.expandAll()
        self._select(wanted)
        self._tree.blockSignals(blocked)
        self._on_chosen()

    def select_published(self, model_id: str) -> None:
        """Choose an entry of the catalogue."""
        self._select(f"published:{model_id}")
        self._on_chosen()

    def _top(self, title: str) -> Any:
        item = qt.QTreeWidgetItem(self._tree)
        item.setText(0, title)
        item.setFlags(qt.Qt.ItemIsEnabled)
        return item

    def _add(self, parent: Any, branch: Branch, default: str, rejected: set[str]) -> None:
        model = branch.model
        name = listed_name(model, default, rejected)
        change = dice_change(model)
        score = "" if change is None else f"{change[0]:.2f} → {change[1]:.2f}"
        texts = (name, score, model.created[:10])
        item = self._row(parent, f"installed:{model.id}", texts, Chosen(installed=model))
        item.setToolTip(1, _("Mean DSC of the hold-out cases before → after fine-tuning."))
        for child in branch.children:
            self._add(item, child, default, rejected)

    def _row(self, parent: Any, key: str, texts: Sequence[str], chosen: Chosen) -> Any:
        item = qt.QTreeWidgetItem(parent)
        for column, text in enumerate(texts):
            item.setText(column, text)
        item.setToolTip(0, texts[0])
        item.setData(0, qt.Qt.UserRole, key)
        self._models[key] = chosen
        return item

    def _select(self, key: str) -> None:
        found = self._find(self._tree.invisibleRootItem(), key) if key else None
        if found is not None:
            self._tree.setCurrentItem(found)

    def _find(self, item: Any, key: str) -> Any | None:
        if item.data(0, qt.Qt.UserRole) == key:
            return item
        children = (self._find(item.child(index), key) for index in range(item.childCount()))
        return next((child for child in children if child is not None), None)

    def _choose(self) -> None:
        self._on_chosen()
