"""The main job by clicks: from a CT volume to an adapted model, in the panels of both modules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from LNSegFMLib.core.metrics import dice
from LNSegFMLib.phantom import PhantomCase, make_case

REPOSITORY = Path(__file__).resolve().parents[2]
DOMAIN = "hospital"
WAIT_S = 600.0
# Window and level in HU.
SOFT_TISSUE = (400, 40)


@dataclass(frozen=True)
class Settings:
    """How large the story is.

    Args:
        size: Voxels of the phantoms, ``(x, y, z)``.
        training_seeds: Phantoms that are corrected and learnt from.
        holdout_seed: The phantom that is held out.
        epochs: Of the fine-tuning.
        iterations: Of one epoch.
        mirroring: Whether segmentations average over flips.
    """

    size: tuple[int, int, int] = (96, 96, 40)
    training_seeds: tuple[int, ...] = (101, 102)
    holdout_seed: int = 203
    epochs: int = 6
    iterations: int = 20
    mirroring: bool = True


@dataclass
class Outcome:
    """What the walk saw.

    Args:
        scores: DSC of the held-out scan by model id.
        geometry_kept: Whether every segmentation had its volume's grid.
        rows: Lymph nodes that the table listed for each segmentation.
        model: Id of the adapted model.
    """

    scores: dict[str, float] = field(default_factory=dict)
    geometry_kept: bool = True
    rows: list[int] = field(default_factory=list)
    model: str = ""


class Walk:
    """Drives both panels as a user would.

    Args:
        app: The running stand-in.
        settings: See `Settings`.
        on_step: Called after each step with its name, for pictures.
    """

    def __init__(self, app: Any, settings: Settings, on_step: Callable[[str], None]) -> None:
        self._app, self._settings, self._on_step = app, settings, on_step
        self._outcome = Outcome()

    def run(self) -> Outcome:
        """Do everything and return what was seen; `LNSEGFM_HOME` should be an empty folder."""
        segment = self._app.load_module(REPOSITORY / "LNSegFM" / "LNSegFM.py")
        tune = self._app.load_module(REPOSITORY / "LNSegFMFineTune" / "LNSegFMFineTune.py")
        self._app.select_module("LNSegFM")
        self._app.wait_until(lambda: segment.ui.modelSelector.count > 0, WAIT_S, "the bundled model")
        self._step("start")
        seeds = (*self._settings.training_seeds, self._settings.holdout_seed)
        cases = [make_case(DOMAIN, seed, size=self._settings.size) for seed in seeds]
        volumes = [self._correct(segment, case, f"Scan {number}") for number, case in enumerate(cases, 1)]
        self._adapt(tune, len(cases))
        self._show_3d(self._segment(segment, volumes[-1], cases[-1]))
        self._app.select_row(segment.ui.nodeTable, 0)
        self._step("adapted")
        return self._outcome

    def _step(self, name: str) -> None:
        # Longer than the panels' timers, so that the picture shows what a user would see.
        self._app.process_events(1.0)
        self._on_step(name)

    def _correct(self, widget: Any, case: PhantomCase, name: str) -> Any:
        import slicer

        from LNSegFMLib.scene.volumes import add_volume

        ui, first = widget.ui, not self._outcome.rows
        volume = add_volume(case.ct, name)
        volume.GetDisplayNode().AutoWindowLevelOff()
        volume.GetDisplayNode().SetWindowLevel(*SOFT_TISSUE)
        slicer.util.setSliceViewerLayers(background=volume, fit=True)
        segmentation = self._segment(widget, volume, case)
        if first:
            self._show_3d(segmentation)
            self._step("segmented")
            self._app.select_row(ui.nodeTable, 0)
            self._step("lymph-node")
        self._edit(segmentation, case)
        self._app.click(ui.measureButton)
        self._app.wait_until(lambda: ui.measureButton.enabled, WAIT_S, "the measurements")
        self._app.click(ui.acceptButton)
        self._app.wait_until(lambda: "version" in ui.caseLabel.text, WAIT_S, "the stored case")
        if first:
            self._step("accepted")
        # The phantoms lie on top of each other.
        segmentation.GetDisplayNode().SetVisibility(False)
        return volume

    def _segment(self, widget: Any, volume: Any, case: PhantomCase) -> Any:
        import slicer

        from LNSegFMLib.scene.segmentations import label_reader

        ui, app = widget.ui, self._app
        before = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")
        app.choose(ui.volumeSelector, volume.GetName())
        quality = "standard" if self._settings.mirroring else "fast"
        ui.qualitySelector.setCurrentIndex(ui.qualitySelector.findData(quality))
        app.click(ui.segmentButton)
        app.wait_until(
            lambda: slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") > before or app.dialogs,
            WAIT_S, "the segmentation",
        )
        if app.dialogs:
            raise AssertionError(f"The module complained: {app.dialogs}")
        segmentation = ui.segmentationSelector.currentNode()
        labels = label_reader(segmentation, volume)()
        self._outcome.geometry_kept &= np.allclose(labels.GetOrigin(), case.ct.GetOrigin())
        self._outcome.geometry_kept &= labels.GetSize() == case.ct.GetSize()
        self._outcome.rows.append(ui.nodeTable.rowCount)
        model = ui.modelSelector.itemData(ui.modelSelector.currentIndex)
        # The last scan that a model segments is the held-out one.
        self._outcome.scores[model] = dice(sitk.GetArrayFromImage(labels), sitk.GetArrayFromImage(case.labels))
        return segmentation

    @staticmethod
    def _show_3d(segmentation: Any) -> None:
        import slicer

        segmentation.CreateClosedSurfaceRepresentation()
        view = slicer.app.layoutManager().threeDWidget(0).threeDView()
        view.resetFocalPoint()
        view.renderWindow().GetRenderers().GetFirstRenderer().ResetCamera()

    @staticmethod
    def _edit(segmentation: Any, case: PhantomCase) -> None:
        """Replace the segments by the phantom's truth, as a user would paint it in the Segment Editor."""
        import slicer

        from LNSegFMLib.scene.volumes import add_volume

        segmentation.GetSegmentation().RemoveAllSegments()
        labelmap = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
        truth = add_volume(case.labels, "truth")
        labelmap.SetAndObserveImageData(truth.GetImageData())
        labelmap.CopyOrientation(truth)
        slicer.vtkSlicerSegmentationsModuleLogic.ImportLabelmapToSegmentationNode(labelmap, segmentation)
        for node in (labelmap, truth):
            slicer.mrmlScene.RemoveNode(node)

    def _adapt(self, widget: Any, count: int) -> None:
        app, ui = self._app, widget.ui
        app.select_module("LNSegFMFineTune")
        app.wait_until(lambda: ui.casesTable.rowCount == count, WAIT_S, "the cases")
        use = ui.casesTable.cellWidget(count - 1, ui.casesTable.columnCount - 1)
        app.choose(use, next(use.itemText(i) for i in range(use.count) if use.itemData(i) == "holdout"))
        app.wait_until(lambda: ui.startButton.enabled, WAIT_S, "the use of the last case")
        box = ui.presetComboBox
        app.choose(box, next(box.itemText(i) for i in range(box.count) if box.itemData(i) == "short"))
        ui.advancedCollapsibleButton.collapsed = False
        ui.epochsSpinBox.value, ui.iterationsSpinBox.value = self._settings.epochs, self._settings.iterations
        self._step("cases")
        ui.advancedCollapsibleButton.collapsed = True
        app.click(ui.startButton)
        total = self._settings.epochs * self._settings.iterations
        app.wait_until(lambda: ui.progressBar.value >= total // 2 or app.dialogs, WAIT_S, "half of the training")
        if ui.curveButton.enabled:
            app.click(ui.curveButton)
        self._step("training")
        app.wait_until(lambda: ui.useModelButton.enabled or app.dialogs, WAIT_S, "the adapted model")
        if app.dialogs:
            raise AssertionError(f"The module complained: {app.dialogs}")
        self._step("result")
        app.click(ui.useModelButton)
        segment = app.load_module(REPOSITORY / "LNSegFM" / "LNSegFM.py")
        selector = segment.ui.modelSelector
        self._outcome.model = selector.itemData(selector.currentIndex)
