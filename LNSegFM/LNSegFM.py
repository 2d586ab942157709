"""LN-Seg-FM: segment the lymph nodes of a CT, look at them, correct them."""

import sys
from contextlib import contextmanager, suppress

import qt
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

from LNSegFMLib.core.agenda import Agenda
from LNSegFMLib.core.background import let_threads_run
from LNSegFMLib.core.catalogue import download_page
from LNSegFMLib.core.errors import Cancelled, UserError
from LNSegFMLib.core.failures import as_user_error
from LNSegFMLib.core.segment_run import SegmentOptions
from LNSegFMLib.core.wording import duration, explain
from LNSegFMLib.scene.node_table import columns, summary
from LNSegFMLib.scene.packages import install_packages, missing_packages
from LNSegFMLib.scene.self_test import LNSegFMTest  # noqa: F401 - Slicer looks for it here
from LNSegFMLib.scene.views import centre_on, open_segment_editor
from LNSegFMLib.scene.workbench import Workbench

POLL_MS = 25
POLL_OUTSIDE_MS = 100
ACCEPT_WAIT_S = 60


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
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._updatingGUI = False
        self._agenda = Agenda()
        self._nodes = {}  # number -> LymphNode of the table
        self._segmentedVolume = None
        self._errors = []  # UserErrors that are still to be shown
        self._shownPair = None  # ids of the volume and segmentation node that the table shows

    # --- Set-up and end

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/LNSegFM.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = LNSegFMLogic()
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MS)
        self._timer.connect("timeout()", self.onTimer)
        self._prepareChoices()
        self._prepareTable()
        self._connectWidgets()
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.StartImportEvent, self.onSceneStartImport)
        for event in (scene.EndCloseEvent, scene.EndImportEvent, scene.EndBatchProcessEvent):
            self.addObserver(scene, event, self.onSceneEnd)
        self.initializeParameterNode()
        self._start("bundled", self.logic.bench.install_bundled(), self.onBundledInstalled)

    def _prepareChoices(self):
        devices = {"auto": _("Automatic"), "cuda": _("NVIDIA GPU (CUDA)"), "mps": _("Apple GPU (MPS)"), "cpu": _("CPU")}
        segments = {"node": _("One for each lymph node"), "all": _("One for all lymph nodes")}
        self._choices = {
            "Model": self.ui.modelSelector, "Device": self.ui.deviceSelector, "Segments": self.ui.segmentsSelector
        }
        for name, texts in (("Device", devices), ("Segments", segments)):
            for value, text in texts.items():
                self._choices[name].addItem(text, value)

    def _prepareTable(self):
        table = self.ui.nodeTable
        self._columns = columns()
        table.setColumnCount(len(self._columns))
        for index, column in enumerate(self._columns):
            item = qt.QTableWidgetItem(column.title)
            item.setToolTip(column.tooltip)
            table.setHorizontalHeaderItem(index, item)
        header = table.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.Stretch)
        for narrow in (0, len(self._columns) - 1):
            header.setSectionResizeMode(narrow, qt.QHeaderView.ResizeToContents)

    def _connectWidgets(self):
        ui = self.ui
        self._installMenu = qt.QMenu(ui.installModelButton)
        for text, slot in (
            (_("From a file (zip or pth)..."), self.onInstallFile),
            (_("From a folder..."), self.onInstallFolder),
            (_("Get the published models..."), self.onDownloadPage),
        ):
            action = qt.QAction(text, self._installMenu)
            action.connect("triggered(bool)", slot)
            self._installMenu.addAction(action)
        ui.installModelButton.setMenu(self._installMenu)
        for button, slot in (
            (ui.segmentButton, self.onSegment),
            (ui.cancelButton, self.onCancel),
            (ui.measureButton, self.onMeasure),
            (ui.editButton, self.onEdit),
            (ui.acceptButton, self.onAccept),
        ):
            button.connect("clicked(bool)", slot)
        ui.nodeTable.connect("cellClicked(int,int)", self.onNodeChosen)
        ui.nodeTable.connect("currentCellChanged(int,int,int,int)", self.onNodeChosen)
        ui.volumeSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.updateParameterNodeFromGUI)
        ui.segmentationSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.onSegmentationChosen)
        for selector in self._choices.values():
            selector.connect("currentIndexChanged(int)", self.updateParameterNodeFromGUI)
        ui.mirroringCheckBox.connect("toggled(bool)", self.updateParameterNodeFromGUI)
        ui.noNodesCheckBox.connect("toggled(bool)", self._updateControls)

    def enter(self):
        self.initializeParameterNode()
        self.refreshModels()

    def cleanup(self):
        # After a reload of the module the old selectors live on, and must not write what they show.
        self._setParameterNode(None)
        self._timer.stop()
        if "accept" in self._agenda:
            # Without the timer its thread would stand still, and the correction would be lost.
            with slicer.util.WaitCursor(), suppress(UserError, Cancelled, TimeoutError):
                self._agenda["accept"].wait(ACCEPT_WAIT_S)
        self._agenda.drop()
        self.removeObservers()
        self.logic.bench.close()

    def onReload(self):
        # Otherwise the reloaded module file would go on with the old library.
        for name in [name for name in sys.modules if name.partition(".")[0] == "LNSegFMLib"]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    # --- Scene and parameter node

    def onSceneStartClose(self, caller, event):
        # What is segmented or measured belongs to the scene that goes away. A case that is being stored does not.
        self._agenda.drop("segment", "measure")
        self._segmentedVolume = None
        self._setParameterNode(None)

    def onSceneStartImport(self, caller, event):
        # The node selectors choose some volume as soon as one arrives; the saved choice must win.
        self._setParameterNode(None)

    def onSceneEnd(self, caller, event):
        # Until a batch ends, the node selectors do not know the new nodes.
        if self._parameterNode is None and not slicer.mrmlScene.IsBatchProcessing():
            self.initializeParameterNode()

    def initializeParameterNode(self):
        self._setParameterNode(self.logic.getParameterNode())

    def _setParameterNode(self, node):
        if self._parameterNode is not None:
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.updateGUIFromParameterNode)
        self._parameterNode = node
        if node is None:
            return
        self.logic.setDefaultParameters(node)
        if node.GetNodeReference("Volume") is None and self.ui.volumeSelector.currentNode() is not None:
            node.SetNodeReferenceID("Volume", self.ui.volumeSelector.currentNodeID)
        self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self.updateGUIFromParameterNode)
        self.refreshModels()

    def updateGUIFromParameterNode(self, caller=None, event=None):
        node, ui = self._parameterNode, self.ui
        if node is None or self._updatingGUI:
            return
        self._updatingGUI = True
        try:
            for name, selector in self._choices.items():
                selector.setCurrentIndex(selector.findData(node.GetParameter(name)))
            ui.mirroringCheckBox.checked = node.GetParameter("Mirroring") == "true"
            ui.volumeSelector.setCurrentNode(node.GetNodeReference("Volume"))
            ui.segmentationSelector.setCurrentNode(node.GetNodeReference("Segmentation"))
        finally:
            self._updatingGUI = False
        self._updateControls()

    def updateParameterNodeFromGUI(self, *_changed):
        node, ui = self._parameterNode, self.ui
        if node is None or self._updatingGUI:
            return
        with slicer.util.NodeModify(node):
            for name, selector in self._choices.items():
                node.SetParameter(name, selector.itemData(selector.currentIndex) or "")
            node.SetParameter("Mirroring", "true" if ui.mirroringCheckBox.checked else "false")
            node.SetNodeReferenceID("Volume", ui.volumeSelector.currentNodeID)
            node.SetNodeReferenceID("Segmentation", ui.segmentationSelector.currentNodeID)

    # --- Models

    def refreshModels(self):
        """Show the models that are installed now; the chosen one stays chosen while it exists."""
        models = self.logic.modelStore.list()
        chosen = self._parameterNode.GetParameter("Model") if self._parameterNode else ""
        selector = self.ui.modelSelector
        self._updatingGUI = True
        try:
            selector.clear()
            for model in models:
                selector.addItem(model.name, model.id)
            selector.setCurrentIndex(max(selector.findData(chosen), 0 if models else -1))
        finally:
            self._updatingGUI = False
        if self._parameterNode is not None:
            self._parameterNode.SetParameter("Model", selector.itemData(selector.currentIndex) or "")
        self.updateGUIFromParameterNode()

    def useModel(self, model_id):
        """Choose a model, as the fine-tuning module does with one that has just been adapted."""
        self.logic.modelStore.get(model_id)
        self.initializeParameterNode()
        self._parameterNode.SetParameter("Model", model_id)
        self.refreshModels()

    def onBundledInstalled(self, problem):
        self.refreshModels()
        if problem:
            self.ui.statusLabel.text = problem

    def onInstallFile(self):
        filters = _("Models (*.zip *.pth)") + ";;" + _("All files (*)")
        title = _("Install a model from a file")
        self._install(qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), title, "", filters))

    def onInstallFolder(self):
        title = _("Install a model from an nnU-Net results folder")
        self._install(qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), title, ""))

    def onDownloadPage(self):
        qt.QDesktopServices.openUrl(qt.QUrl(download_page()))

    def _install(self, source):
        if source and self._packagesReady():
            self.ui.statusLabel.text = _("Installing the model...")
            self._start("install", self.logic.bench.install(source), self.onInstalled)

    def onInstalled(self, value):
        self.useModel(value["model"])
        self.ui.statusLabel.text = _("The model is installed.")

    def _packagesReady(self):
        missing = missing_packages() if self.logic.bench.worker_command is None else []
        if not missing:
            return True
        question = _("This needs the Python packages {names}, which take about 3 GB. Install them now?")
        if slicer.util.confirmOkCancelDisplay(question.format(names=", ".join(missing))):
            with errorsShown(), slicer.util.WaitCursor():
                install_packages()
                return True
        return False

    # --- Segmentation

    def onSegment(self):
        if not self._packagesReady():
            return
        with errorsShown():
            volumeNode, node = self.ui.volumeSelector.currentNode(), self._parameterNode
            options = SegmentOptions(
                node.GetParameter("Model"), node.GetParameter("Device"),
                "standard" if node.GetParameter("Mirroring") == "true" else "fast",
            )
            run = self.logic.bench.segment(
                volumeNode, options, segment_per_node=node.GetParameter("Segments") == "node"
            )
            self._segmentedVolume = volumeNode
            self._start("segment", run, self.onSegmented)

    def onCancel(self):
        self._agenda["segment"].cancel()
        self.ui.cancelButton.enabled = False

    def onSegmented(self, value):
        result, labelmap = value
        volumeNode, self._segmentedVolume = self._segmentedVolume, None
        segmentationNode = self.logic.bench.add_result(result, labelmap, volumeNode)
        self._choosePair(volumeNode, segmentationNode)
        self._showNodes(result.nodes)
        model = self.ui.modelSelector.itemText(self.ui.modelSelector.findData(result.model)) or result.model
        self.ui.statusLabel.text = _("{model} took {time} on {device}.").format(
            model=model, time=duration(result.seconds), device=result.device_reason or result.device
        )

    def _choosePair(self, volumeNode, segmentationNode):
        with slicer.util.NodeModify(self._parameterNode):
            self._parameterNode.SetNodeReferenceID("Volume", volumeNode.GetID())
            self._parameterNode.SetNodeReferenceID("Segmentation", segmentationNode.GetID())

    # --- Lymph nodes

    def onSegmentationChosen(self, segmentationNode):
        """Choose the volume that the segmentation was drawn on as well; they are measured and accepted together."""
        if segmentationNode is not None and not self._updatingGUI:
            role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
            volumeNode = segmentationNode.GetNodeReference(role)
            if volumeNode is not None and volumeNode.GetClassName() == "vtkMRMLScalarVolumeNode":
                self.ui.volumeSelector.setCurrentNode(volumeNode)
        self.updateParameterNodeFromGUI()

    def onMeasure(self):
        with errorsShown(), slicer.util.WaitCursor():
            segmentationNode, volumeNode = self._chosenNodes()
            self._start("measure", self.logic.bench.measure(segmentationNode, volumeNode), self._showNodes)

    def _showNodes(self, nodes):
        self._nodes = {node.number: node for node in nodes}
        self._shownPair = self._chosenPair()
        table = self.ui.nodeTable
        wasBlocked = table.blockSignals(True)
        table.setSortingEnabled(False)
        table.clearContents()
        table.setRowCount(len(nodes))
        for row, node in enumerate(nodes):
            for index, column in enumerate(self._columns):
                item = qt.QTableWidgetItem()
                item.setData(qt.Qt.DisplayRole, column.value(node))
                item.setData(qt.Qt.UserRole, node.number)
                table.setItem(row, index, item)
        table.setSortingEnabled(True)
        table.blockSignals(wasBlocked)
        self.ui.summaryLabel.text = summary(nodes)

    def _chosenNodes(self):
        return self.ui.segmentationSelector.currentNode(), self.ui.volumeSelector.currentNode()

    def _chosenPair(self):
        return self.ui.volumeSelector.currentNodeID, self.ui.segmentationSelector.currentNodeID

    def onNodeChosen(self, row, column):
        item = self.ui.nodeTable.item(row, column)
        if item is not None:
            node = self._nodes[item.data(qt.Qt.UserRole)]
            centre_on(node.centroid_ras, self.ui.volumeSelector.currentNode())

    def onEdit(self):
        open_segment_editor(*self._chosenNodes())

    # --- Correction

    def onAccept(self):
        with errorsShown(), slicer.util.WaitCursor():
            work = self.logic.bench.accept(*self._chosenNodes(), no_nodes=self.ui.noNodesCheckBox.checked)
            self.ui.caseLabel.text = _("Storing the case...")
            self._start("accept", work, self.onAccepted)

    def onAccepted(self, case):
        self.ui.noNodesCheckBox.checked = False
        self.ui.caseLabel.text = _("Stored as {case}, version {version}.").format(
            case=case.id, version=case.latest.number
        )

    # --- Work that is going on

    def _start(self, name, pending, onValue):
        self._agenda.start(name, pending, onValue)
        self._timer.start()
        self._updateControls()

    def onTimer(self):
        outside = self._agenda.outside
        let_threads_run(briefly=outside)
        self._timer.setInterval(POLL_OUTSIDE_MS if outside else POLL_MS)
        if slicer.mrmlScene.IsBatchProcessing():
            return  # Slicer runs timers in the middle of loading a scene, when nodes cannot be added or chosen
        for work in self._agenda.take_done():
            self._updateControls()
            self._finish(work)
        if "segment" in self._agenda:
            self._showProgress(self._agenda["segment"])
        if not self._agenda and not self.logic.bench.busy:
            self._timer.stop()

    def _finish(self, work):
        label = self.ui.caseLabel if work.name == "accept" else self.ui.statusLabel
        try:
            work.on_value(work.pending.result())
        except Cancelled:
            label.text = _("Cancelled.")
        except UserError as error:
            label.text = error.what
            self._showLater(error)
        except Exception as error:
            self._showLater(as_user_error(error))
            raise

    def _showLater(self, error):
        # A timer does not fire while its slot shows a dialog, and all other work would stand still behind it.
        self._errors.append(error)
        qt.QTimer.singleShot(0, self._showErrors)

    def _showErrors(self):
        while self._errors:
            slicer.util.errorDisplay(explain(self._errors.pop(0)))

    def _showProgress(self, run):
        progress, bar = run.progress, self.ui.progressBar
        known = progress.fraction is not None
        bar.setMaximum(100 if known else 0)
        bar.setValue(round(100 * progress.fraction) if known else 0)
        parts = [_("Cancelling") if run.cancel_requested else progress.message]
        if progress.remaining_s is not None and 0 < progress.fraction < 1:
            parts.append(_("about {time} left").format(time=duration(progress.remaining_s)))
        self.ui.statusLabel.text = ", ".join(parts)

    def _updateControls(self, *_changed):
        ui, agenda = self.ui, self._agenda
        model, volume, segmentation = (
            ui.modelSelector.currentIndex >= 0, ui.volumeSelector.currentNode(), ui.segmentationSelector.currentNode()
        )
        running = "segment" in agenda
        for widget in (ui.cancelButton, ui.progressBar):
            widget.setVisible(running)
        ui.segmentButton.setVisible(not running)
        ui.cancelButton.enabled = running and not agenda["segment"].cancel_requested
        ui.segmentButton.enabled = bool(model and volume)
        ui.segmentButton.toolTip = (
            _("Install a model first.") if not model
            else _("Load a CT and choose it first.") if not volume
            else _("Find the lymph nodes of the CT.")
        )
        ui.installModelButton.enabled = "install" not in agenda
        ui.editButton.enabled = bool(volume and segmentation)
        ui.measureButton.enabled = bool(volume and segmentation) and "measure" not in agenda
        labelled = segmentation or ui.noNodesCheckBox.checked
        ui.acceptButton.enabled = bool(volume and labelled) and "accept" not in agenda
        if self._shownPair is not None and self._shownPair != self._chosenPair():
            self._showNodes([])
            # Nobody has measured the pair that is chosen now.
            self._shownPair, self.ui.summaryLabel.text = None, ""


@contextmanager
def errorsShown():
    """Show an error of the block in a dialog; one that nobody foresaw goes on to the Python console as well."""
    try:
        yield
    except UserError as error:
        slicer.util.errorDisplay(explain(error))
    except Exception as error:
        slicer.util.errorDisplay(explain(as_user_error(error)))
        raise


class LNSegFMLogic(ScriptedLoadableModuleLogic):
    """The module's work is `bench`'s; here is what Slicer wants to find."""

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        self.bench = Workbench()

    @property
    def modelStore(self):
        return self.bench.models

    def setDefaultParameters(self, parameterNode):
        defaults = {"Model": "", "Device": "auto", "Segments": "node", "Mirroring": "true"}
        with slicer.util.NodeModify(parameterNode):
            for name, value in defaults.items():
                if not parameterNode.GetParameter(name):
                    parameterNode.SetParameter(name, value)
