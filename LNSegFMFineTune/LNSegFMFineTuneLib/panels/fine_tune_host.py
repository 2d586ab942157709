"""What a section of the fine-tuning panel needs of the panel it lies in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from lnsegfm.base.background import Pending
from lnsegfm.base.errors import UserError
from lnsegfm.jobs.stored import Stored
from lnsegfm.session import Session


class FineTuneHost(Protocol):
    """The module's widget, as its sections see it."""

    @property
    def parameter_node(self) -> Any:
        """The module's parameter node (MRML); None while a scene is being closed or loaded."""

    @property
    def ui(self) -> Any:
        """The widgets of the panel and of all its sections, by object name."""

    @property
    def workbench(self) -> Session:
        """The service that does the work."""

    @property
    def stored(self) -> Stored:
        """What lay on the disk when it was last read."""

    @property
    def is_acting(self) -> bool:
        """Whether something is being changed; one thing at a time."""

    def act(self, on_value: Callable[[Any], None], function: Callable[..., Any], *args: Any) -> Pending:
        """Change something in a thread; afterwards everything is read anew. Errors go into a dialog.

        While it goes on no other change begins, so that no job starts on a choice that is still being stored.
        """

    def start_work(
        self,
        name: str,
        pending: Pending,
        on_value: Callable[[Any], None],
        on_error: Callable[[UserError], None] | None = None,
    ) -> None:
        """Wait for work from the panel's timer; an error goes to ``on_error``, or into a dialog without one."""

    def is_working(self, name: str) -> bool:
        """Tell whether work of this name goes on."""

    def show_error(self, error: UserError) -> None:
        """Show an error in a dialog as soon as the code that is running has come to its end."""

    def use_model(self, model_id: str) -> None:
        """Choose a model in the module LN-Seg-FM."""

    def choose_pair(self, volume_node: Any, segmentation_node: Any) -> None:
        """Choose a volume MRML node and its segmentation MRML node in the module LN-Seg-FM."""

    def refresh(self) -> None:
        """Read cases, models and jobs anew; the sections follow when that is done."""

    def update_controls(self) -> None:
        """Let every section enable what can be done now."""

    def packages_ready_for(self, method: str) -> bool:
        """Tell whether the Python packages of a method are there; ask the user to install what is missing."""

    def watch(self, job_id: str) -> None:
        """Show a job in the sections that follow one."""
