"""A panel for one section under test: what the module's widget is to its sections, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lnsegfm.base.background import Pending, let_threads_run
from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.models.catalogue import RESOURCES
from LNSegFMLib.panels.common.agenda import Agenda

POLL_MS = 20


class FakeHost:
    """Implements `LNSegFMLib.panels.common.panel_host.PanelHost`.

    Attributes:
        errors: What was shown to the user.
        used: Ids of the models that were chosen.
        changes: How often the models changed.
        has_packages: What `packages_ready` answers.
    """

    def __init__(self) -> None:
        import qt
        import slicer

        self.errors: list[UserError] = []
        self.used: list[str] = []
        self.changes = 0
        self.has_packages = True
        self.agenda = Agenda()
        self.parameter_node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
        self.window = qt.QWidget()
        self.window.setLayout(qt.QVBoxLayout())
        self.window.resize(380, 700)
        self.window.show()
        self._on_problem: dict[str, Callable[[UserError | Cancelled], None] | None] = {}
        self._sections: list[Any] = []
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MS)
        self._timer.connect("timeout()", self._poll)

    def add(self, kind: type, **options: Any) -> Any:
        """Make a section of the module LN-Seg-FM and put it below the others."""
        section = kind(self, str(RESOURCES / "UI" / f"{kind.__name__}.ui"), **options)
        self.window.layout().addWidget(section.widget)
        self._sections.append(section)
        return section

    def start_work(
        self,
        name: str,
        pending: Pending,
        on_value: Callable[[Any], None],
        on_problem: Callable[[UserError | Cancelled], None] | None = None,
    ) -> None:
        self._on_problem[name] = on_problem
        self.agenda.start(name, pending, on_value)
        self._timer.start()

    def is_working(self, name: str) -> bool:
        return name in self.agenda

    def packages_ready(self) -> bool:
        return self.has_packages

    def models_changed(self) -> None:
        self.changes += 1
        self.update()

    def use_model(self, model_id: str) -> None:
        self.used.append(model_id)

    def show_error(self, error: UserError) -> None:
        self.errors.append(error)

    def update(self) -> None:
        for section in self._sections:
            section.update()

    def close(self) -> None:
        for section in self._sections:
            section.close()
        self._timer.stop()
        self.agenda.drop()
        self.window.close()

    def _poll(self) -> None:
        let_threads_run()
        for work in self.agenda.take_done():
            on_problem = self._on_problem.pop(work.name)
            try:
                work.on_value(work.pending.result())
            except (UserError, Cancelled) as problem:
                if on_problem is not None:
                    on_problem(problem)
                elif isinstance(problem, UserError):
                    self.show_error(problem)
        if not self.agenda:
            self._timer.stop()
