"""A panel for one section under test: what the module's widget is to its sections, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import standin
from lnsegfm.base.background import Pending
from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.models.published.catalogue import RESOURCES


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
        self.work = self._make_work()
        self.parameter_node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
        self.parameters = self._typed()
        self.window = qt.QWidget()
        self.window.setLayout(qt.QVBoxLayout())
        self.window.resize(380, 700)
        self.window.show()
        self._sections: list[Any] = []

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
        self.work.start(name, pending, on_value, on_problem)

    def is_working(self, name: str) -> bool:
        return name in self.work

    def packages_ready(self, also: Sequence[str] = ()) -> bool:
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
        self.work.stop()
        self.window.close()

    def _make_work(self) -> Any:
        from LNSegFMLib.panels.common.panel_work import PanelWork  # `qt` is there only now

        work = PanelWork()
        work.show_error = self.show_error  # type: ignore[method-assign]
        return work

    def _typed(self) -> Any:
        from LNSegFMLib.scene.segment_parameters import SegmentParameters
        from LNSegFMLib.scene.typed_parameters import typed_parameters

        return typed_parameters(SegmentParameters, self.parameter_node)


@contextmanager
def fake_host() -> Iterator[FakeHost]:
    """Yield a host in an empty scene, and check afterwards that nothing went wrong unseen."""
    app = standin.start()
    app.close_scene()
    app.dialogs.clear()
    app.answers.clear()
    host = FakeHost()
    yield host
    host.close()
    app.close_scene()
    app.check()
