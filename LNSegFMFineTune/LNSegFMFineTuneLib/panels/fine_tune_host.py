"""What a section of the fine-tuning panel needs of the panel it lies in, beyond what every section needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from lnsegfm.base.background import Pending
from lnsegfm.jobs.stored import Stored
from lnsegfm.session import Session
from LNSegFMLib.panels.common.panel_host import PanelHost
from LNSegFMLib.panels.common.section import Section


class FineTuneHost(PanelHost, Protocol):
    """The module's widget, as its sections see it."""

    @property
    def workbench(self) -> Session:
        """The service that does the work."""

    @property
    def stored(self) -> Stored:
        """What lay on the disk when it was last read."""

    @property
    def is_acting(self) -> bool:
        """Whether something is being changed; one thing at a time."""

    @property
    def is_reloading(self) -> bool:
        """Whether the panel is closed because its module is loaded again; the session continues."""

    def act(self, on_value: Callable[[Any], None], function: Callable[..., Any], *args: Any) -> Pending:
        """Change something in a thread; afterwards everything is read again. Errors go into a dialog.

        Meanwhile no other change begins, so that no job starts on a choice that is still being stored.
        """

    def refresh(self) -> None:
        """Read cases, models and jobs again; the sections follow when that is done."""

    def update_controls(self) -> None:
        """Let every section enable what can be done now."""

    def watch(self, job_id: str) -> None:
        """Show a job in the sections that follow one."""


class FineTuneSection(Section):
    """A section that follows what lies on the disk.

    Args:
        host: The panel.
        ui_file: Path of the .ui file.
        frame: The panel's widgets around the sections.
    """

    host: FineTuneHost

    def __init__(self, host: FineTuneHost, ui_file: str, *, frame: Any) -> None:
        super().__init__(host, ui_file, frame=frame)

    def show_stored(self, before: Stored, stored: Stored) -> None:
        """Follow what lies on the disk.

        Args:
            before: What lay there when it was read before.
            stored: What lies there now.
        """

    def update_controls(self) -> None:
        """Enable what can be done now."""
