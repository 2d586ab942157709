"""A small scripted module in the form of Slicer's template, which only the stand-in's tests load."""

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import *  # noqa: F403 - Slicer's way
from slicer.util import VTKObservationMixin


class Sample(ScriptedLoadableModule):  # noqa: F405
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)  # noqa: F405
        self.parent.title = _("Sample")
        self.parent.categories = ["Testing"]


class SampleWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):  # noqa: F405
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)  # noqa: F405
        VTKObservationMixin.__init__(self)
        self.events = []

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)  # noqa: F405
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/Sample.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = SampleLogic()
        self.timer = qt.QTimer()
        self.timer.connect("timeout()", self.onTimer)
        self.ui.applyButton.connect("clicked(bool)", self.onApply)
        self.ui.inputSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.onInput)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onEndClose)
        self.onInput(self.ui.inputSelector.currentNode())

    def enter(self):
        self.events.append("enter")

    def exit(self):
        self.events.append("exit")

    def cleanup(self):
        self.events.append("cleanup")
        self.removeObservers()

    def onStartClose(self, caller, event):
        self.events.append("start close")

    def onEndClose(self, caller, event):
        self.events.append("end close")

    def onInput(self, node):
        self.ui.applyButton.enabled = node is not None

    def onTimer(self):
        self.events.append("timer")

    def onApply(self):
        node = self.logic.threshold(self.ui.inputSelector.currentNode(), self.ui.threshold.value)
        self.ui.resultLabel.text = _("Made {name}").format(name=node.GetName())
        slicer.util.infoDisplay("Done")


class SampleLogic(ScriptedLoadableModuleLogic):  # noqa: F405
    def threshold(self, volumeNode, threshold):
        array = slicer.util.arrayFromVolume(volumeNode) > threshold
        labelmap = slicer.modules.volumes.logic().CreateAndAddLabelVolume(slicer.mrmlScene, volumeNode, "temporary")
        slicer.util.updateVolumeFromArray(labelmap, array.astype("uint8"))
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", volumeNode.GetName() + " segmentation")
        node.CreateDefaultDisplayNodes()
        node.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
        slicer.modules.segmentations.logic().ImportLabelmapToSegmentationNode(labelmap, node)
        node.CreateClosedSurfaceRepresentation()
        slicer.mrmlScene.RemoveNode(labelmap)
        segmentation = node.GetSegmentation()
        segmentation.GetNthSegment(0).SetColor(0.1, 0.9, 0.2)
        self.getParameterNode().SetParameter("threshold", str(threshold))
        return node


class SampleTest(ScriptedLoadableModuleTest):  # noqa: F405
    def runTest(self):
        slicer.mrmlScene.Clear()
        self.delayDisplay("Running")
        image = vtk.vtkImageData()
        image.SetDimensions(4, 4, 4)
        self.assertEqual(image.GetNumberOfPoints(), 64)
        self.assertTrue(slicer.app.testingEnabled())
