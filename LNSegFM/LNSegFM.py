"""LN-Seg-FM: segment the lymph nodes of a CT, look at them, correct them."""

import sys

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

from lnsegfm.base.errors import UserError
from lnsegfm.images.input_options import InputOptions
from lnsegfm.session.segmenting import SegmentChoices
from LNSegFMLib.panels.common.panel_work import PanelWork
from LNSegFMLib.panels.common.scene_work import SceneWork
from LNSegFMLib.panels.common.section_steps import PanelWidgets, SectionAttribute, SectionSteps
from LNSegFMLib.panels.correcting.correct_section import CorrectSection
from LNSegFMLib.panels.models.models_section import ModelsSection
from LNSegFMLib.panels.models.setup_section import SetupSection
from LNSegFMLib.panels.reviewing.export_section import ExportSection
from LNSegFMLib.panels.reviewing.review_section import ReviewSection
from LNSegFMLib.panels.segmenting.segment_section import SegmentSection
from LNSegFMLib.panels.segmenting.worklist_section import WorklistSection
from LNSegFMLib.scene.scripting import accept_steps, measure_steps, segment_steps
from LNSegFMLib.scene.segment_parameters import SegmentParameters
from LNSegFMLib.scene.segmentation_bench import Workbench
from LNSegFMLib.scene.shown_pair import ShownPair, first_pair
from LNSegFMLib.scene.typed_parameters import AFTER_PARAMETERS, typed_parameters
from LNSegFMLib.self_tests.module_self_test import LNSegFMTest  # noqa: F401 - Slicer looks for it here
from LNSegFMLib.setup.packages import missing_packages

ACCEPT_WAIT_S = 60
# Work on what lies in the scene; the rest continues when the scene is closed.
SCENE_WORK = ("segment", "measure", "split", "overlay")
# These look at the disk, and at nothing that a click in the other sections changes.
STORE_SECTIONS = ("packages", "models")


class LNSegFM(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("LN-Seg-FM")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = []
        self.parent.contributors = ["LN-Seg-FM for 3D Slicer developers"]
        self.parent.helpText = _(
            "Segments the lymph nodes of a CT with the LN-Seg-FM foundation model or a model adapted from it, measures "
            "them, and stores corrected cases for the adaptation. For research only, not a medical device."
        )
        self.parent.acknowledgementText = _(
            "The foundation model and the adaptation method: Luo Z, Gao Z, Liao W, Zhang S, Wang G, Luo X, "
            "MICCAI 2025, https://arxiv.org/abs/2503.00748"
        )


class LNSegFMWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: it holds the sections, and is their `LNSegFMLib.panels.common.panel_host.PanelHost`."""

    packages = SectionAttribute()
    segment = SectionAttribute()
    review = SectionAttribute()
    correct = SectionAttribute()
    worklist = SectionAttribute()
    export = SectionAttribute()
    models = SectionAttribute()

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.parameter_node = self.parameters = None
        self._work = None
        self._sections = []  # that are built
        self._storeSections = []
        self._entered = False
        self._shownPair = ShownPair()
        self._updating = False
        self._updateWanted = False

    # --- Set-up and end

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        panel = slicer.util.loadUI(self.resourcePath("UI/LNSegFM.ui"))
        self.layout.addWidget(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.logic = LNSegFMLogic()
        self._work = PanelWork(self.onTick, is_busy=self.isWorkerBusy)
        self._addSections(slicer.util.childWidgetVariables(panel))
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.StartImportEvent, self.onSceneStartImport)
        for event in (scene.EndCloseEvent, scene.EndImportEvent, scene.EndBatchProcessEvent):
            # After the node selectors, which would choose their first node over the saved choice.
            self.addObserver(scene, event, self.onSceneEnd, priority=-1.0)
        self.addObserver(scene, scene.NodeRemovedEvent, self.onNodeRemoved)
        self.initializeParameterNode()
        self.start_work("bundled", self.logic.bench.install_bundled(), self.onBundledInstalled)
        self._takeOverQueue()
        if slicer.util.mainWindow() is not None and slicer.util.selectedModule() == self.moduleName:
            self.enter()  # after a reload nothing else calls it

    def _takeOverQueue(self):
        kept = self.parameters.KeptQueue
        if kept:
            self.parameters.KeptQueue = ""
            self.segment.take_over(kept)

    def _addSections(self, frame):
        bench = self.logic.bench
        # What is open comes first, after what it needs.
        self.steps = SectionSteps({
            "segment": lambda: SegmentSection(self, self.resourcePath("UI/SegmentSection.ui"), bench),
            "worklist": lambda: WorklistSection(self, self.resourcePath("UI/WorklistSection.ui")),
            "correct": lambda: CorrectSection(
                self, self.resourcePath("UI/CorrectSection.ui"), bench, on_next=self.worklist.open_next
            ),
            "review": lambda: ReviewSection(
                self, self.resourcePath("UI/ReviewSection.ui"), bench, editing=self.correct.editing
            ),
            "packages": lambda: SetupSection(
                self, self.resourcePath("UI/SetupSection.ui"), release_packages=bench.close,
                get_model=lambda: self.models.get_recommended(), on_installed=self.warmUp,
            ),
            "export": lambda: ExportSection(self, self.resourcePath("UI/ExportSection.ui"), bench),
            "models": lambda: ModelsSection(
                self, self.resourcePath("UI/ModelsSection.ui"), install=bench.install,
                in_use=lambda model_id: self.segment.runner.use_of(model_id), session=bench.session,
            ),
        }, self._onSectionBuilt)
        self._places = {
            "packages": frame.setupPlace, "segment": frame.segmentPlace, "review": frame.reviewPlace,
            "correct": frame.correctPlace, "worklist": frame.worklistPlace, "export": frame.exportPlace,
            "models": frame.modelsPlace,
        }
        # One place for the self-tests and for other modules to find every widget by its name.
        self.ui = PanelWidgets(self.steps, vars(frame))
        self.steps.start()

    def _onSectionBuilt(self, name, section):
        self._places[name].layout().addWidget(section.widget)
        vars(self.ui).update(vars(section.ui))
        self._sections.append(section)
        if name in STORE_SECTIONS:
            self._storeSections.append(section)
        if self._entered:
            section.enter()
        if self.parameter_node is not None and name not in STORE_SECTIONS:
            updating, self._updating = self._updating, True
            try:
                section.update()
            finally:
                self._updating = updating

    def enter(self):
        self._entered = True
        for section in self._sections:
            section.enter()
        self.initializeParameterNode()
        self.warmUp()

    def warmUp(self):
        # Not before the models are listed, which calls this again.
        if self._entered and not self.is_working("bundled"):
            self.segment.warm_up()

    def exit(self):
        self._entered = False
        for section in self._sections:
            section.exit()

    def cleanup(self):
        self.steps.stop()
        # A reload of the module ends the worker; the next panel finds here what it is to go on with.
        if self.parameter_node is not None:
            self.parameters.KeptQueue = self.segment.runner.kept()
        # After a reload of the module the old selectors live on, and must not write what they show.
        self._setParameterNode(None)
        self._work.stop(after="accept", timeout_s=ACCEPT_WAIT_S)
        self.removeObservers()
        for section in self._sections:
            section.close()
        self.logic.close()

    def onReload(self):
        # Otherwise the reloaded module file would go on with the old library.
        for name in [name for name in sys.modules if name.partition(".")[0] in ("LNSegFMLib", "lnsegfm")]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    # --- Scene and parameter node

    def onSceneStartClose(self, caller, event):
        # What is segmented or measured belongs to the scene that goes away. A case that is being stored does not.
        self._work.drop(*SCENE_WORK)
        self._setParameterNode(None)
        self._shownPair.forget()
        self.logic.bench.forget_results()
        for section in self._sections:
            section.scene_closes()

    def onSceneStartImport(self, caller, event):
        # The node selectors choose some volume as soon as one arrives; the saved choice must win.
        self._setParameterNode(None)
        self._shownPair.forget()

    def onSceneEnd(self, caller, event):
        # Until a batch ends, the node selectors do not know the new nodes.
        if slicer.mrmlScene.IsBatchProcessing():
            return
        if self.parameter_node is None:
            self.initializeParameterNode()
        else:
            self.update()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeRemoved(self, caller, event, node):
        if node.IsA("vtkMRMLSegmentationNode") or node.IsA("vtkMRMLScalarVolumeNode"):
            self.update()

    def initializeParameterNode(self):
        self._setParameterNode(self.logic.getParameterNode())

    def _setParameterNode(self, node):
        if self.parameter_node is not None:
            self.removeObserver(self.parameter_node, vtk.vtkCommand.ModifiedEvent, self.onParameterNodeModified)
        self.parameter_node = node
        self.parameters = None if node is None else typed_parameters(SegmentParameters, node)
        if node is None:
            return
        if node.GetNodeReference("Volume") is None:
            # Nothing was chosen yet; in the first place what the user looks at.
            volumeNode, segmentationNode = first_pair(self.ui.volumeSelector.currentNode())
            node.SetNodeReferenceID("Volume", None if volumeNode is None else volumeNode.GetID())
            if segmentationNode is not None:
                node.SetNodeReferenceID("Segmentation", segmentationNode.GetID())
        # After the observers by which the typed parameters read the node again; VTK keeps no order among equals.
        self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self.onParameterNodeModified, priority=AFTER_PARAMETERS)
        self.models_changed()

    def onParameterNodeModified(self, caller, event):
        self.update()

    # --- Models and packages

    def onBundledInstalled(self, problem):
        self.models_changed()
        self.warmUp()
        if problem:
            self.ui.statusLabel.text = problem

    def useModel(self, model_id):
        """Choose a model, as the fine-tuning module does with one that has just been adapted."""
        self.use_model(model_id)

    def refreshModels(self):
        self.models_changed()

    def isWorkerBusy(self):
        return self.logic.bench.busy

    # --- What the sections get, see PanelHost

    def start_work(self, name, pending, on_value, on_problem=None):
        self._work.start(name, pending, on_value, on_problem)

    def is_working(self, name):
        return name in self._work

    def packages_ready(self, also=()):
        missing = missing_packages(also) if self.logic.bench.worker_command is None else []
        if not missing:
            return True
        # It asks, and installs while the user continues; there is progress to be seen.
        self.ui.setupCollapsibleButton.collapsed = False
        self.packages.on_install()
        return False

    def models_changed(self):
        self.segment.refresh_models()
        for section in self._storeSections:
            section.update()
        self.update()

    def use_model(self, model_id):
        self.logic.bench.models.get(model_id)
        self.initializeParameterNode()
        self.parameters.Model = model_id
        self.models_changed()

    def show_error(self, error):
        self._work.show_error(error)

    def choose_pair(self, volume_node, segmentation_node):
        if self.parameter_node is None:
            return
        with slicer.util.NodeModify(self.parameter_node):
            for role, node in (("Volume", volume_node), ("Segmentation", segmentation_node)):
                self.parameter_node.SetNodeReferenceID(role, None if node is None else node.GetID())

    def update(self):
        # The selectors that a section sets here write into the parameter node, which leads back to here.
        if self.parameter_node is None or self._updating:
            return
        if self._work.finishing:
            self._updateWanted = True
            return
        self._updating, self._updateWanted = True, False
        try:
            for section in self._sections:
                if section not in self._storeSections:
                    section.update()
            # However they were chosen: by a selector, a table, a script or a scene that was loaded.
            node = self.parameter_node
            self._shownPair.follow(node.GetNodeReference("Volume"), node.GetNodeReference("Segmentation"))
        finally:
            self._updating = False

    def onTick(self, anyEnded):
        # However much has ended, and whatever it changed in the scene: the panel follows once.
        if anyEnded or self._updateWanted:
            self.update()
        for section in self._sections:
            section.poll()


class LNSegFMLogic(ScriptedLoadableModuleLogic):
    """What scripts and other modules can ask for; the panel's own work is `bench`'s.

    Each call returns when the work is done, while Slicer's event loop runs and the status bar shows the progress. With
    ``wait=False`` it returns at once a `LNSegFMLib.panels.common.scene_work.SceneWork` with ``done``, ``progress``,
    ``cancel()``, ``result()`` and ``wait()``.

    Example:
        >>> logic = slicer.util.getModuleLogic("LNSegFM")
        >>> segmentationNode = logic.segment(volumeNode, quality="fast")
        >>> for lymphNodes in logic.measure(segmentationNode, volumeNode).values():
        ...     print([each.short_axis_mm for each in lymphNodes])
        >>> case = logic.accept(segmentationNode, volumeNode)
    """

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        self.bench = Workbench()
        self._work = PanelWork(is_busy=lambda: self.bench.busy)

    def segment(self, volumeNode, *, roiNode=None, segmentPerLymphNode=True, wait=True, **choices):
        """Segment the lymph nodes of a CT.

        Args:
            volumeNode: vtkMRMLScalarVolumeNode with the CT; it is not changed.
            roiNode: vtkMRMLMarkupsROINode, to segment what lies in it alone.
            segmentPerLymphNode: One segment for each lymph node, or else one for all of them.
            wait: Return the result, or else a handle to the work.
            **choices: Fields of `lnsegfm.session.segmenting.SegmentChoices`: ``model`` (the default model without it),
                ``device``, ``quality``, ``region``, ``minimum_short_axis_mm``, ``rejected_too``, ``assume_hu`` and
                ``keep_implausible``. Without the last, what cannot be a lymph node is in grey segments that are hidden
                and neither counted nor exported.

        Returns:
            The new vtkMRMLSegmentationNode. What the user should know of the scan is logged and shown in the panel;
            `LNSegFMLib.scene.drafts.warnings_of` returns it.

        Raises:
            UserError: The CT cannot be segmented, or there is no model for patients.
            Cancelled: The handle's ``cancel()`` was called.
        """
        missing = missing_packages() if self.bench.worker_command is None else []
        if missing:
            raise UserError(
                "The CT cannot be segmented.", f"Python packages are missing: {', '.join(missing)}.",
                "Install them in the section Setup of the module LN-Seg-FM.",
            )
        return self._run(wait, segment_steps(
            self.bench, volumeNode, SegmentChoices(**choices), roiNode, segment_per_node=segmentPerLymphNode
        ))  # fmt: skip

    def measure(self, segmentationNode, volumeNode, *, wait=True):
        """Measure the segments as they are now; what was measured is kept with the segmentation node.

        Args:
            segmentationNode: vtkMRMLSegmentationNode.
            volumeNode: Its CT.
            wait: Return the result, or else a handle to the work.

        Returns:
            Lists of `lnsegfm.lymph_nodes.instances.LymphNode` by segment id, the largest first; lengths in mm.

        Raises:
            UserError: The segments cannot be brought to the volume.
        """
        return self._run(wait, measure_steps(self.bench, segmentationNode, volumeNode))

    def accept(
        self, segmentationNode, volumeNode, *, noLymphNodes=False, reviewedRoiNode=None, keepImplausible=False,
        wait=True, **options,
    ):
        """Store a CT and its corrected segmentation as a case for the adaptation.

        Args:
            segmentationNode: vtkMRMLSegmentationNode; None only with ``noLymphNodes``.
            volumeNode: Its CT.
            noLymphNodes: The user states that the CT shows no lymph nodes.
            reviewedRoiNode: vtkMRMLMarkupsROINode around what was reviewed; None for the whole CT.
            keepImplausible: Store segments of what cannot be a lymph node as well; without it they are left out.
            wait: Return the result, or else a handle to the work.
            **options: Fields of `lnsegfm.images.input_options.InputOptions`: ``assume_hu`` and ``unusual`` confirm a CT
                or labels that do not look right, ``placement`` says where segments on another grid lie.

        Returns:
            The `lnsegfm.cases.case_info.CaseInfo`.

        Raises:
            UserError: The nodes cannot be used, or the labels do not fit what is stated.
        """
        return self._run(wait, accept_steps(
            self.bench, segmentationNode, volumeNode, no_nodes=noLymphNodes, reviewed_roi=reviewedRoiNode,
            keep_implausible=keepImplausible, options=InputOptions(**options),
        ))  # fmt: skip

    def close(self):
        """End the work and its process; the next call starts them again."""
        self._work.stop()
        self.bench.close()

    def _run(self, wait, steps):
        work = SceneWork(steps, self._work)
        return work.wait() if wait else work
