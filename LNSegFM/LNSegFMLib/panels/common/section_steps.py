"""Builds the sections of a panel one by one, so that Slicer never stands still for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import qt

from LNSegFMLib.panels.common.section import Section


class SectionSteps:
    """The sections of a panel, each made when it is first asked for, or else in a turn of the event loop of its own.

    Args:
        makers: Make the sections, in the order in which they are built, by name.
        on_built: Called with the name of a section and the section as soon as it is there.
    """

    def __init__(self, makers: Mapping[str, Callable[[], Section]], on_built: Callable[[str, Section], None]) -> None:
        self._makers, self._on_built = dict(makers), on_built
        self._built: dict[str, Section] = {}
        self._stopped = False

    def __getitem__(self, name: str) -> Section:
        """Return a section; it is built now if it is not there yet."""
        if name not in self._built:
            # Out of the waiting ones first: a section that cannot be made is not tried at every turn.
            self._built[name] = section = self._makers.pop(name)()
            self._on_built(name, section)
        return self._built[name]

    def start(self) -> None:
        """Build what is left from now on, one section at each turn of the event loop."""
        if self._makers and not self._stopped:
            qt.QTimer.singleShot(0, self._step)

    def stop(self) -> None:
        """Build no more by itself."""
        self._stopped = True

    def build_next(self) -> bool:
        """Build the next section; return whether there was one left."""
        if not self._makers:
            return False
        self[next(iter(self._makers))]
        return True

    def _step(self) -> None:
        if self._stopped:
            return
        try:
            self.build_next()
        finally:
            self.start()


class PanelWidgets(SimpleNamespace):
    """All widgets of a panel by name; to ask for one of a section that is not there yet builds it.

    Args:
        steps: The sections.
        widgets: Widgets that are there already, by name.
    """

    def __init__(self, steps: SectionSteps, widgets: Mapping[str, Any]) -> None:
        super().__init__(**widgets)
        self._steps = steps

    def __getattr__(self, name: str) -> Any:
        """Return a widget that is not there yet; Python asks only for those."""
        while not name.startswith("_") and self._steps.build_next():
            if name in vars(self):
                return vars(self)[name]
        raise AttributeError(f"The panel has no widget {name}.")


class SectionAttribute:
    """A section as attribute of the panel, under its name among the steps, which the panel has as ``steps``."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, panel: Any, owner: type) -> Any:
        """Return the section; it is built now if it is not there yet."""
        return self if panel is None else panel.steps[self._name]
