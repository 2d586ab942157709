"""What a section of a panel needs of the panel it lies in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from lnsegfm.base.background import Pending
from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.failures import as_user_error


class PanelHost(Protocol):
    """A module's widget, as its sections see it."""

    @property
    def parameter_node(self) -> Any:
        """The module's parameter node (MRML); None while a scene is being closed or loaded."""

    @property
    def parameters(self) -> Any:
        """Its values as a typed object, see `LNSegFMLib.scene.typed_parameters`; None together with the node."""

    def start_work(
        self,
        name: str,
        pending: Pending,
        on_value: Callable[[Any], None],
        on_problem: Callable[[UserError | Cancelled], None] | None = None,
    ) -> None:
        """Wait for work from the panel's timer; its value goes to ``on_value``, its error into a dialog.

        Args:
            name: What it is known by; one task of a name runs at a time.
            pending: The work.
            on_value: Gets its value.
            on_problem: Gets its error, or that it was cancelled, instead of the dialog.

        Raises:
            ValueError: A task of this name is running already.
        """

    def is_working(self, name: str) -> bool:
        """Tell whether a task of this name is running."""

    def packages_ready(self, also: Sequence[str] = ()) -> bool:
        """Tell whether the Python packages are there; ask the user to install them where they are not.

        Args:
            also: Names of further packages that the work at hand needs.
        """

    def models_changed(self) -> None:
        """Say that models were installed, renamed or removed, so that every list of them is refreshed."""

    def use_model(self, model_id: str) -> None:
        """Choose a model for the next segmentation."""

    def show_error(self, error: UserError) -> None:
        """Show an error in a dialog as soon as the code that is running has come to its end."""

    def choose_pair(self, volume_node: Any | None, segmentation_node: Any | None) -> None:
        """Choose a volume node and its segmentation node for all sections."""

    def update(self) -> None:
        """Show in all sections what the scene and the parameter node say now."""


@contextmanager
def errors_shown(host: PanelHost) -> Iterator[None]:
    """Show an error of the block in a dialog; an unexpected one is passed on to the Python console as well."""
    try:
        yield
    except UserError as error:
        host.show_error(error)
    except Exception as error:
        host.show_error(as_user_error(error))
        raise
