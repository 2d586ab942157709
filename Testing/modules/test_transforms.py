"""A CT under a transform that changes its shape is not used on its raw grid, and can be hardened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("PySide6")
pytest.importorskip("vtk")

from lnsegfm.base.errors import UserError
from lnsegfm_panel import add_ct, bright, exported, open_queue, queue_states, segment, segmentations
from scene_transforms import bulge, linear, put_under, rotation, shift_grid

SHEAR = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.3], [0.0, 0.0, 1.0]]
SCALE = np.diag([1.0, 1.0, 1.5])
BENT: dict[str, Callable[[], Any]] = {
    "scaling": lambda: linear(SCALE),
    "scaling a little": lambda: linear(np.diag([1.002, 1.0, 1.0])),
    "shearing": lambda: linear(SHEAR),
    "mirroring": lambda: linear(np.diag([-1.0, 1.0, 1.0])),
    "grid": shift_grid,
    "B-spline": bulge,
    "rigid over grid": lambda: shift_grid(parent=linear(rotation(30))),
    "grid over rigid": lambda: linear(rotation(30), parent=shift_grid()),
    "scaling over rigid": lambda: linear(rotation(30), parent=linear(SCALE)),
}
RIGID: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "translation": lambda: linear([[1, 0, 0, 17], [0, 1, 0, -4], [0, 0, 1, 2], [0, 0, 0, 1]]),
    "rotation": lambda: linear(rotation(30)),
    "rotation over rotation": lambda: linear(rotation(20), parent=linear(rotation(-75))),
    "scaling that is undone": lambda: linear(SCALE, parent=linear(np.linalg.inv(SCALE))),
}


def world_centre(volume: Any) -> np.ndarray:
    """Where the bright voxels are in the world, in the mean."""
    import vtk

    from LNSegFMLib.scene.matrices import matrix_of

    array = bright(volume)
    indices = np.argwhere(array)[:, ::-1].mean(axis=0)
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    point = (matrix_of(matrix) @ np.append(indices, 1.0))[:3]
    parent = volume.GetParentTransformNode()
    if parent is None:
        return np.asarray(point)
    transform = vtk.vtkGeneralTransform()
    parent.GetTransformToWorld(transform)
    return np.array(transform.TransformPoint(point))


def grid_of(volume: Any) -> np.ndarray:
    from LNSegFMLib.scene.volumes import ijk_to_ras_of

    return np.asarray(ijk_to_ras_of(volume))


def bright_mm3(volume: Any) -> float:
    """The volume of what is brighter than the background of -100 HU, which voxels of an edge are in part."""
    import slicer

    share = (slicer.util.arrayFromVolume(volume) + 100.0) / 900.0
    return float(share.sum() * abs(np.linalg.det(grid_of(volume)[:3, :3])))


@pytest.fixture
def logic(widget: Any) -> Any:
    import slicer

    return slicer.util.getModuleLogic("LNSegFM")


class TestRefusal:
    @pytest.mark.parametrize("kind", BENT)
    def test_what_changes_the_shape_is_not_segmented(self, app: Any, logic: Any, kind: str) -> None:
        volume = add_ct()
        put_under(volume, BENT[kind]())
        with pytest.raises(UserError, match="has to be hardened first") as caught:
            logic.segment(volume, model="fine")
        assert '"CT"' in caught.value.what and "Harden transform" in caught.value.todo
        assert not segmentations()

    @pytest.mark.parametrize("kind", RIGID)
    def test_what_only_moves_is_segmented(self, app: Any, logic: Any, kind: str) -> None:
        volume = add_ct()
        put_under(volume, RIGID[kind]())
        before = grid_of(volume)
        segmentation = logic.segment(volume, model="fine")
        assert segmentation.GetParentTransformNode() is volume.GetParentTransformNode()
        np.testing.assert_array_equal(exported(segmentation, volume) > 0, bright(volume))
        np.testing.assert_array_equal(grid_of(volume), before)

    @pytest.mark.parametrize("kind", ["scaling", "grid", "rigid over grid"])
    def test_every_way_into_a_case_or_file_is_closed(
        self, app: Any, logic: Any, tmp_path: Path, kind: str
    ) -> None:
        import slicer

        from LNSegFMFineTuneLib.scene.scene_pairs import ScenePair, import_pair
        from LNSegFMLib.scene.dicom_exports import SEG, export_dicom
        from LNSegFMLib.scene.exports import write_numbers, write_union

        volume = add_ct()
        segmentation = logic.segment(volume, model="fine")
        transform = BENT[kind]()
        for node in (volume, segmentation):
            put_under(node, transform)
        slicer.modules.dicomPlugins = {"DICOMSegmentationPlugin": object}
        pair = import_pair(ScenePair(segmentation, volume, "Pair"))
        for work in (
            lambda: logic.measure(segmentation, volume),
            lambda: logic.accept(segmentation, volume),
            lambda: write_union(segmentation, volume, tmp_path / "labels.nrrd"),
            lambda: write_numbers(segmentation, volume, tmp_path / "labels.nrrd", {}),
            lambda: export_dicom(SEG, segmentation, volume, tmp_path),
            pair.read_image,
            pair.read_label,
        ):
            with pytest.raises(UserError, match="has to be hardened first"):
                work()
        del slicer.modules.dicomPlugins
        assert not logic.bench.cases.list() and not list(tmp_path.glob("*.nrrd"))

    def test_a_sheared_grid_is_refused_and_can_be_hardened(self, app: Any, logic: Any) -> None:
        volume = add_ct()
        put_under(volume, linear(SHEAR))
        volume.HardenTransform()  # Slicer's own, which shears the grid
        with pytest.raises(UserError, match="voxel grid is sheared"):
            logic.segment(volume, model="fine")
        from LNSegFMLib.scene.transforms import harden

        assert harden(volume)
        assert logic.segment(volume, model="fine") is not None

    def test_a_queue_goes_on_with_the_others(self, app: Any, widget: Any) -> None:
        volumes = [add_ct(name) for name in ("A", "B")]
        put_under(volumes[0], shift_grid())
        app.process_events()
        app.choose(widget.ui.modelSelector, "fine")
        open_queue(app, widget)
        app.click(widget.ui.addAllButton)
        app.wait_until(lambda: not widget.is_working("segment"), 60, "the queue")
        states = queue_states(widget)
        assert states["B"] == "2 lymph nodes" and "hardened first" in str(states["A"])


class TestHardening:
    @pytest.mark.parametrize("kind", ["scaling", "mirroring", *(kind for kind in RIGID if kind != "none")])
    def test_voxels_stay_where_the_grid_keeps_its_right_angles(self, app: Any, kind: str) -> None:
        from LNSegFMLib.scene.transforms import harden, transform_problem

        volume = add_ct(direction=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
        put_under(volume, {**BENT, **RIGID}[kind]())
        before, centre = bright(volume).copy(), world_centre(volume)
        assert not harden(volume)
        np.testing.assert_array_equal(bright(volume), before)
        assert volume.GetParentTransformNode() is None and not transform_problem(volume)
        np.testing.assert_allclose(world_centre(volume), centre, atol=1e-6)

    @pytest.mark.parametrize("kind", ["shearing", "grid", "B-spline", "rigid over grid", "grid over rigid",
                                      "scaling over rigid"])  # fmt: skip
    def test_voxels_are_resampled_to_where_they_are_in_the_world(self, app: Any, kind: str) -> None:
        import slicer

        from LNSegFMLib.scene.transforms import harden, transform_problem
        from LNSegFMLib.scene.volumes import geometry_of_volume

        volume = add_ct()
        array = slicer.util.arrayFromVolume(volume)
        array[array < -100] = -100  # the boxes are all that differs
        put_under(volume, BENT[kind]())
        centre = world_centre(volume)
        size = bright_mm3(volume)
        assert harden(volume)
        assert volume.GetParentTransformNode() is None and not transform_problem(volume)
        grid = np.array(geometry_of_volume(volume).direction).reshape(3, 3)
        np.testing.assert_allclose(grid.T @ grid, np.eye(3), atol=1e-6)
        np.testing.assert_allclose(world_centre(volume), centre, atol=1.5)
        scale = 1.5 if "scaling" in kind else 1.0
        assert bright_mm3(volume) == pytest.approx(scale * size, rel=0.05)  # nothing was cut off
        array = slicer.util.arrayFromVolume(volume)
        assert array.dtype == np.int16 and array.min() == -100  # what was not imaged is not 0

    @pytest.mark.parametrize(
        ("kind", "stays"),
        [("scaling that is undone", True), ("rotation", False), ("scaling", False), ("grid", False)],
    )
    def test_a_ct_on_another_grid_is_not_its_dicom_series_any_more(self, app: Any, kind: str, stays: bool) -> None:
        from LNSegFMLib.scene.transforms import harden

        volume = add_ct()
        volume.SetAttribute("DICOM.instanceUIDs", "1.2.3")
        put_under(volume, {**BENT, **RIGID}[kind]())
        harden(volume)
        assert volume.GetAttribute("DICOM.instanceUIDs") == ("1.2.3" if stays else None)

    @pytest.mark.parametrize("kind", ["scaling", "grid"])
    def test_nobody_sees_the_old_voxels_without_the_transform(self, app: Any, kind: str) -> None:
        import slicer
        import vtk

        from LNSegFMLib.scene.transforms import harden

        volume = add_ct()
        put_under(volume, BENT[kind]())
        seen: list[np.ndarray] = []
        for event in (
            vtk.vtkCommand.ModifiedEvent, slicer.vtkMRMLTransformableNode.TransformModifiedEvent,
            slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent,
        ):  # fmt: skip
            volume.AddObserver(event, lambda *_event: seen.append(world_centre(volume)))
        harden(volume)
        assert seen
        for centre in seen:
            np.testing.assert_allclose(centre, world_centre(volume), atol=1e-6)

    def test_all_of_a_tilted_ct_stays_in_the_new_grid(self, app: Any) -> None:
        import slicer

        from LNSegFMLib.scene.transforms import harden

        volume = add_ct()
        array = slicer.util.arrayFromVolume(volume)
        array[:] = -100
        array[[0, 0, -1, -1], [0, -1, 0, -1], [0, -1, 0, -1]] = 30000  # corners of the scan
        slicer.util.arrayFromVolumeModified(volume)
        put_under(volume, shift_grid(0.6))
        harden(volume)
        from lnsegfm.images.orientation import axis_map
        from LNSegFMLib.scene.volumes import geometry_of_volume

        assert axis_map(geometry_of_volume(volume).direction)  # right angles
        assert (slicer.util.arrayFromVolume(volume) > 1000).sum() >= 4

    def test_what_does_not_fit_into_memory_is_refused_and_nothing_changes(
        self, app: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from LNSegFMLib.scene import transforms

        volume = add_ct()
        put_under(volume, shift_grid())
        before, parent = grid_of(volume), volume.GetParentTransformNode()
        monkeypatch.setattr(transforms, "memory_bytes", lambda: 1000)
        with pytest.raises(UserError, match="do not fit into memory"):
            transforms.harden(volume)
        np.testing.assert_array_equal(grid_of(volume), before)
        assert volume.GetParentTransformNode() is parent


class TestPanel:
    def test_the_button_hardens_and_the_ct_can_be_segmented(
        self, app: Any, widget: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from PySide6 import QtCore, QtGui

        from LNSegFMLib.scene.transforms import harden

        volume = add_ct()
        app.process_events()
        ui = widget.ui
        assert not ui.hardenButton.visible and not ui.transformLabel.visible
        put_under(volume, shift_grid(parent=linear(rotation(30))))
        app.process_events()
        assert ui.hardenButton.visible and '"CT" cannot be segmented as it is' in ui.transformLabel.text
        assert "takes some seconds" in ui.transformLabel.text
        cursors: list[Any] = []
        monkeypatch.setattr(
            "LNSegFMLib.panels.segmenting.transform_notice.harden",
            lambda node: cursors.append(QtGui.QGuiApplication.overrideCursor()) or harden(node),
        )
        assert "not linear" in ui.transformLabel.text and "file on disk is not changed" in ui.transformLabel.text
        app.click(ui.hardenButton)
        assert not ui.hardenButton.visible and not ui.transformLabel.visible
        assert "voxels were resampled" in ui.statusLabel.text
        assert [cursor.shape() for cursor in cursors] == [QtCore.Qt.CursorShape.WaitCursor]
        assert QtGui.QGuiApplication.overrideCursor() is None
        segmentation = segment(app, widget)
        np.testing.assert_array_equal(exported(segmentation, volume) > 0, bright(volume))

    def test_a_transform_that_is_changed_or_taken_away_is_followed(self, app: Any, widget: Any) -> None:
        from LNSegFMLib.scene.matrices import vtk_matrix_of

        volume, transform = add_ct(), linear(rotation(10))
        put_under(volume, transform)
        app.process_events()
        assert not widget.ui.hardenButton.visible
        transform.SetMatrixTransformToParent(vtk_matrix_of(np.diag([1.0, 1.0, 1.2, 1.0])))
        app.process_events()
        assert widget.ui.hardenButton.visible and "scales, shears or mirrors" in widget.ui.transformLabel.text
        put_under(volume, None)
        app.process_events()
        assert not widget.ui.hardenButton.visible
