"""The module LN-Seg-FM Fine-Tuning: cases, fine-tuning jobs, evidence and adapted models."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

if importlib.util.find_spec("LNSegFMLib") is None:
    # Slicer was pointed at this folder alone, or loads this module first.
    sys.path.append(str(Path(__file__).resolve().parent.parent / "LNSegFM"))

from lnsegfm.base.background import Pending, Task
from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.failures import as_user_error
from lnsegfm.base.wording import explain
from lnsegfm.jobs.stored import Stored
from lnsegfm.session import AdaptOptions, Session
from LNSegFMFineTuneLib.panels.cases_section import CasesSection
from LNSegFMFineTuneLib.panels.jobs_section import RunSection
from LNSegFMFineTuneLib.panels.plan_section import PlanSection
from LNSegFMFineTuneLib.panels.results_section import EvidenceSection
from LNSegFMFineTuneLib.scene.adapt_parameters import AdaptParameters, adapt_parameters
from LNSegFMFineTuneLib.scene.scripted_adaptation import adapt_steps
from LNSegFMFineTuneLib.self_tests.fine_tuning_self_test import LNSegFMFineTuneTest  # noqa: F401 - for Slicer
from LNSegFMFineTuneLib.texts import plan_texts as plan_wording
from LNSegFMLib.panels.common.panel_work import PanelWork
from LNSegFMLib.panels.common.scene_work import SceneWork
from LNSegFMLib.scene.segmentation_choice import choose_model, choose_pair
from LNSegFMLib.scene.typed_parameters import AFTER_PARAMETERS
from LNSegFMLib.setup.packages import foreign_python, install_packages, may_offer, missing_packages

MODIFIED = vtk.vtkCommand.ModifiedEvent
ACTION, REFRESH = "action", "refresh"


class LNSegFMFineTune(ScriptedLoadableModule):
    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("LN-Seg-FM Fine-Tuning")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = ["LNSegFM"]
        self.parent.contributors = ["LN-Seg-FM for 3D Slicer developers"]
        self.parent.helpText = _(
            "Adapts a lymph node segmentation model to a handful of corrected cases with Dynamic Gradient "
            "Sparsification Training (DGST), in the background. For research only."
        )
        self.parent.acknowledgementText = _(
            "Method: Luo et al., Dynamic Gradient Sparsification Training for Few-Shot Fine-tuning of CT Lymph Node "
            "Segmentation Foundation Model, MICCAI 2025."
        )


class LNSegFMFineTuneLogic(ScriptedLoadableModuleLogic):
    """What scripts can ask for, and the owner of the parameter node; the work is the session's.

    Example:
        >>> from lnsegfm.session import AdaptOptions
        >>> logic = slicer.util.getModuleLogic("LNSegFMFineTune")
        >>> model = logic.adapt(AdaptOptions(preset="short", name="Ours"))
        >>> logic.workbench.models.accept(model.id)
    """

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        self.workbench = Session()
        self._work = PanelWork()

    def adapt(self, options: AdaptOptions | None = None, *, wait: bool = True) -> Any:
        """Adapt a model to the stored cases; the job works in the background and outlives Slicer.

        Args:
            options: What is asked; None for the paper's settings, from the default model.
            wait: Return when the job has ended, while Slicer's event loop runs and the status bar shows the progress;
                or else return at once a `LNSegFMLib.panels.common.scene_work.SceneWork` with ``done``, ``progress``,
                ``cancel()``, which stops the job, ``result()`` and ``wait()``.

        Returns:
            The `lnsegfm.models.model_card.ModelInfo` of the adapted model.

        Raises:
            UserError: The job cannot be made, cannot work on this computer, or failed.
            Cancelled: It was cancelled.
        """
        work = SceneWork(adapt_steps(self.workbench, options or AdaptOptions()), self._work)
        return work.wait() if wait else work

    def close(self) -> None:
        """Follow the jobs no longer; they continue."""
        self._work.stop(cancel=False)


class LNSegFMFineTuneWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel, and the host of its sections: `LNSegFMFineTuneLib.panels.fine_tune_host.FineTuneHost`."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic: LNSegFMFineTuneLogic | None = None
        self.parameter_node: Any = None
        self.parameters: AdaptParameters | None = None
        self.stored = Stored()
        self._sections: tuple[Any, ...] = ()
        self._isStale = self.is_reloading = self._askedForScores = self._isEntered = False

    # Set-up and end

    def setup(self) -> None:
        ScriptedLoadableModuleWidget.setup(self)
        panel = slicer.util.loadUI(self.resourcePath("UI/LNSegFMFineTune.ui"))
        self.layout.addWidget(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.logic = LNSegFMFineTuneLogic()
        self._work = PanelWork()
        self.ui = slicer.util.childWidgetVariables(panel)
        self._casesSection = self._add(CasesSection, "Cases")
        self._planSection = self._add(PlanSection, "Plan")
        self.evidenceSection = self._add(EvidenceSection, "Evidence")
        self._runSection = self._add(RunSection, "Run", on_view=self.evidenceSection.show_job)
        self._sections = (self._casesSection, self._planSection, self._runSection, self.evidenceSection)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.StartImportEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneChanged)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneChanged)
        self.enter()

    def _add(self, kind: Callable[..., Any], name: str, **options: Any) -> Any:
        section = kind(self, self.resourcePath(f"UI/{name}Section.ui"), frame=self.ui, **options)
        getattr(self.ui, f"{name.lower()}Place").layout().addWidget(section.widget)
        vars(self.ui).update(vars(section.ui))
        return section

    def enter(self) -> None:
        self._isEntered = True
        self.initializeParameterNode()
        for section in self._sections:
            section.enter()
        self.refresh()

    def exit(self) -> None:
        self._isEntered = False
        self.setParameterNode(None)
        for section in self._sections:
            section.exit()

    def cleanup(self) -> None:
        self.setParameterNode(None)
        self._work.stop()
        self.logic.close()
        for section in self._sections:
            section.close()
        self.removeObservers()

    def onReload(self) -> None:
        # The session continues, and with it what was removed. Slicer reloads the module file alone; the library has to
        # be reloaded with it.
        self.is_reloading = True
        for name in [name for name in sys.modules if name.partition(".")[0] == "LNSegFMFineTuneLib"]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    # Parameters, saved with the scene

    def onSceneStartClose(self, caller: Any, event: str) -> None:
        self.setParameterNode(None)

    def onSceneChanged(self, caller: Any, event: str) -> None:
        if self._isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self) -> None:
        self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, node: Any) -> None:
        if self.parameter_node is not None:
            self.removeObserver(self.parameter_node, MODIFIED, self._showParameters)
        self.parameter_node = node
        self.parameters = None if node is None else adapt_parameters(node)
        if node is not None:
            self.addObserver(node, MODIFIED, self._showParameters, priority=AFTER_PARAMETERS)
            self.update()

    def _showParameters(self, caller: Any = None, event: str = "") -> None:
        self.update()

    # What the sections ask of the panel

    @property
    def workbench(self) -> Session:
        return self.logic.workbench

    @property
    def is_acting(self) -> bool:
        return ACTION in self._work

    def start_work(
        self,
        name: str,
        pending: Pending,
        on_value: Callable[[Any], None],
        on_problem: Callable[[UserError | Cancelled], None] | None = None,
    ) -> None:
        self._work.start(name, pending, on_value, on_problem)

    def is_working(self, name: str) -> bool:
        return name in self._work

    def show_error(self, error: UserError) -> None:
        self._work.show_error(error)

    def act(self, on_value: Callable[[Any], None], function: Callable[..., Any], *args: Any) -> Pending:
        def then(value: Any) -> None:
            try:
                on_value(value)
            finally:
                self._endAction()

        task = Task(function, *args)
        self.start_work(ACTION, task, then, self._onActionFailed)
        self.update_controls()
        return task

    def _endAction(self) -> None:
        self.refresh()
        self.update_controls()

    def _onActionFailed(self, problem: UserError | Cancelled) -> None:
        if isinstance(problem, Cancelled):
            self._endAction()
            return
        self.stored = Stored()
        self._casesSection.on_action_failed()
        self._endAction()
        self._work.show_error(problem)

    def refresh(self) -> None:
        self._isStale = REFRESH in self._work
        if not self._isStale:
            self.start_work(REFRESH, Task(self.workbench.read_stored), self._showStored, self._onRefreshFailed)

    def _showStored(self, stored: Stored) -> None:
        if self._isStale:  # something changed while it was being read
            self.refresh()
            return
        before, self.stored = self.stored, stored
        for section in self._sections:
            section.show_stored(before, stored)
        self.update_controls()

    def _onRefreshFailed(self, problem: UserError | Cancelled) -> None:
        if isinstance(problem, UserError):
            self.ui.adviceLabel.text = explain(problem)

    def models_changed(self) -> None:
        self.refresh()

    def update(self) -> None:
        for section in self._sections:
            section.update()
        self.update_controls()

    def update_controls(self) -> None:
        for section in self._sections:
            section.update_controls()

    def watch(self, job_id: str) -> None:
        self._runSection.watch(job_id)

    def use_model(self, model_id: str) -> None:
        choose_model(model_id)

    def choose_pair(self, volume_node: Any, segmentation_node: Any) -> None:
        choose_pair(volume_node, segmentation_node)

    def packages_ready(self, also: Sequence[str] = ()) -> bool:
        missing = missing_packages(also)
        if missing and slicer.util.confirmOkCancelDisplay(plan_wording.install_question(missing)):
            try:
                install_packages(also)
                missing = []
            except UserError as error:
                slicer.util.errorDisplay(explain(error))
        if not missing and not self._askedForScores and may_offer():
            self._askedForScores = True  # once is enough: only the NSD needs it
            self._offerScores()
        return not missing

    def _offerScores(self) -> None:
        there = foreign_python() or importlib.util.find_spec("surface_distance") is not None
        if not there and slicer.util.confirmOkCancelDisplay(plan_wording.scores_question()):
            try:
                slicer.util.pip_install("surface-distance")
            except (CalledProcessError, RuntimeError, OSError) as error:
                slicer.util.errorDisplay(explain(as_user_error(error)))
