"""What a section of a panel needs of the panel it lies in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from LNSegFMLib.core.background import Pending
from LNSegFMLib.core.errors import UserError


class PanelHost(Protocol):
    """The module's widget, as its sections see it."""

    @property
    def parameter_node(self) -> Any:
        """The module's parameter node (MRML); None while a scene is being closed or loaded."""

    def start_work(self, name: str, pending: Pending, on_value: Callable[[Any], None]) -> None:
        """Wait for work from the panel's timer; its value goes to ``on_value``, its error into a dialog.

        Raises:
            ValueError: Work of this name goes on already.
        """

    def is_working(self, name: str) -> bool:
        """Tell whether work of this name goes on."""

    def packages_ready(self) -> bool:
        """Tell whether the Python packages are there; ask the user to install them where they are not."""

    def models_changed(self) -> None:
        """Say that models were installed, renamed or removed, so that every list of them is made anew."""

    def use_model(self, model_id: str) -> None:
        """Choose a model for the next segmentation."""

    def show_error(self, error: UserError) -> None:
        """Show an error in a dialog, from outside the timer."""
