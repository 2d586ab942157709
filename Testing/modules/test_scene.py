"""Between MRML nodes and images: nothing moves, nothing else changes, nothing is left behind."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Iterator
from dataclasses import replace
from subprocess import CalledProcessError
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import standin
from lnsegfm.base.errors import UserError
from lnsegfm.base.wording import duration, explain
from lnsegfm.images.geometry import Geometry, labels_on
from lnsegfm.lymph_nodes.instances import measure

SHAPE = (7, 9, 11)


@pytest.fixture(autouse=True)
def app() -> Iterator[Any]:
    app = standin.start()
    app.close_scene()
    yield app
    app.close_scene()
    app.check()


@st.composite
def images(draw: st.DrawFn) -> sitk.Image:
    axis = draw(st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: np.linalg.norm(v) > 0.1))
    transform = sitk.VersorTransform(axis, draw(st.floats(0, 6.2)))
    flips = np.diag(draw(st.tuples(*[st.sampled_from((-1.0, 1.0))] * 3)))
    image = sitk.GetImageFromArray(np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE))
    image.SetDirection((np.reshape(transform.GetMatrix(), (3, 3)) @ flips).ravel().tolist())
    image.SetSpacing(draw(st.tuples(*[st.floats(0.3, 6)] * 3)))
    image.SetOrigin(draw(st.tuples(*[st.floats(-900, 900)] * 3)))
    return image


def ct(**grid: Any) -> sitk.Image:
    image = sitk.GetImageFromArray(np.zeros(SHAPE, np.int16))
    for name, value in grid.items():
        getattr(image, f"Set{name}")(value)
    return image


def two_nodes(image: sitk.Image) -> sitk.Image:
    array = np.zeros(SHAPE, np.uint8)
    array[1:4, 2:6, 1:5] = 1
    array[5:6, 6:8, 7:10] = 1
    return measure(labels_on(image, array))[0]


def add_pair(image: sitk.Image) -> tuple[Any, Any]:
    from LNSegFMLib.scene.segments.segmentations import add_segmentation, labelmap_of
    from LNSegFMLib.scene.volumes import add_volume

    volume = add_volume(image, "CT")
    labelmap = labelmap_of(two_nodes(image), segment_per_node=True)
    return volume, add_segmentation(labelmap, volume, lambda label: f"Node {label}", "Nodes")


def read(segmentation: Any, volume: Any) -> np.ndarray:
    from LNSegFMLib.scene.segments.segmentations import label_reader

    return sitk.GetArrayFromImage(label_reader(segmentation, volume)())


def moved(node: Any, **elements: float) -> Any:
    import slicer

    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = slicer.vtkMRMLSliceNode().GetXYToRAS()
    matrix.Identity()
    for name, value in elements.items():
        matrix.SetElement("xyz".index(name), 3, value)
    transform.SetMatrixTransformToParent(matrix)
    node.SetAndObserveTransformNodeID(transform.GetID())
    return transform


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(images())
def test_image_comes_back_from_the_scene_as_it_went_in(image: sitk.Image) -> None:
    import slicer

    from LNSegFMLib.scene.volumes import add_volume, image_reader

    node = add_volume(image, "CT")
    back = image_reader(node)()
    slicer.mrmlScene.RemoveNode(node)
    assert Geometry.of(back).matches(Geometry.of(image), tolerance_mm=1e-6)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(image))
    assert back.GetPixelID() == image.GetPixelID()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(images())
def test_labels_come_back_from_the_scene_as_they_went_in(image: sitk.Image) -> None:
    import slicer

    volume, segmentation = add_pair(image)
    array = read(segmentation, volume)
    slicer.mrmlScene.Clear(0)
    np.testing.assert_array_equal(array, sitk.GetArrayFromImage(two_nodes(image)) > 0)


def test_reader_holds_the_voxels_of_a_removed_volume() -> None:
    import slicer

    from LNSegFMLib.scene.volumes import add_volume, image_reader

    node = add_volume(ct() + 5, "CT")
    take = image_reader(node)
    slicer.mrmlScene.RemoveNode(node)
    del node
    assert sitk.GetArrayFromImage(take()).tolist() == np.full(SHAPE, 5).tolist()


def test_volume_without_voxels_is_refused() -> None:
    import slicer

    from LNSegFMLib.scene.volumes import image_reader

    with pytest.raises(UserError, match="has no voxels"):
        image_reader(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty"))


def test_edits_after_the_reading_was_asked_for_are_not_seen() -> None:
    from LNSegFMLib.scene.segments.segmentations import label_reader

    volume, segmentation = add_pair(ct())
    take = label_reader(segmentation, volume)
    segmentation.GetSegmentation().RemoveAllSegments()
    assert sitk.GetArrayFromImage(take()).sum() == 48 + 6
    assert read(segmentation, volume).sum() == 0


def test_segments_share_one_labelmap() -> None:
    _, segmentation = add_pair(ct())
    assert segmentation.GetSegmentation().GetNumberOfLayers() == 1


def test_overlapping_segments_are_united() -> None:
    import slicer

    volume, segmentation = add_pair(ct())
    extra = np.zeros(SHAPE, np.uint8)
    extra[1:7, 2:6, 1:5] = 1
    segment_id = segmentation.GetSegmentation().AddEmptySegment("drawn")
    slicer.util.updateSegmentBinaryLabelmapFromArray(extra, segmentation, segment_id, volume)
    np.testing.assert_array_equal(read(segmentation, volume), (sitk.GetArrayFromImage(two_nodes(ct())) > 0) | extra)


def test_segments_under_another_linear_transform_follow_it() -> None:
    volume, segmentation = add_pair(ct())
    moved(volume, x=100.0)
    moved(segmentation, x=100.0, z=1.0)
    expected = np.roll(sitk.GetArrayFromImage(two_nodes(ct())) > 0, 1, axis=0)
    np.testing.assert_array_equal(read(segmentation, volume), expected)


def test_segments_outside_the_volume_are_refused() -> None:
    volume, segmentation = add_pair(ct())
    moved(segmentation, x=300.0)
    with pytest.raises(UserError, match="does not fit"):
        read(segmentation, volume)


def test_different_transforms_that_are_not_linear_are_refused() -> None:
    import slicer
    import vtk

    volume, segmentation = add_pair(ct())
    warp = vtk.vtkThinPlateSplineTransform()
    points = vtk.vtkPoints()
    for point in ((0, 0, 0), (50, 0, 0), (0, 50, 0), (0, 0, 50), (20, 20, 20)):
        points.InsertNextPoint(point)
    warp.SetSourceLandmarks(points)
    warp.SetTargetLandmarks(points)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode")
    node.SetAndObserveTransformToParent(warp)
    segmentation.SetAndObserveTransformNodeID(node.GetID())
    with pytest.raises(UserError, match="not linear"):
        read(segmentation, volume)


def test_result_that_fails_leaves_nothing_behind() -> None:
    import slicer

    from LNSegFMLib.scene.segments import segmentations
    from LNSegFMLib.scene.volumes import add_volume

    def names(label: int) -> str:
        raise RuntimeError("no name")

    image = ct()
    volume = add_volume(image, "CT")
    # Slicer always has one; the wheel makes it when it is first asked for.
    slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    before = {slicer.mrmlScene.GetNthNode(index).GetID() for index in range(slicer.mrmlScene.GetNumberOfNodes())}
    with pytest.raises(RuntimeError, match="no name"):
        segmentations.add_segmentation(
            segmentations.labelmap_of(two_nodes(image), segment_per_node=True), volume, names, "Nodes"
        )
    after = {slicer.mrmlScene.GetNthNode(index).GetID() for index in range(slicer.mrmlScene.GetNumberOfNodes())}
    assert after == before


def test_result_without_lymph_nodes_is_an_empty_segmentation() -> None:
    from LNSegFMLib.scene.segments.segmentations import add_segmentation, labelmap_of
    from LNSegFMLib.scene.volumes import add_volume

    image = ct()
    volume = add_volume(image, "CT")
    labelmap = labelmap_of(labels_on(image, np.zeros(SHAPE)), segment_per_node=True)
    node = add_segmentation(labelmap, volume, str, "Nodes")
    assert node.GetSegmentation().GetNumberOfSegments() == 0
    assert read(node, volume).sum() == 0


def test_swarm_of_regions_becomes_one_segment() -> None:
    from LNSegFMLib.scene.segments.segmentations import MOST_SEGMENTS, labelmap_of

    array = np.zeros((3, 45, 45), np.uint8)
    array[1, ::2, ::2] = 1
    instances, nodes = measure(labels_on(sitk.GetImageFromArray(array), array))
    assert len(nodes) > MOST_SEGMENTS
    labelmap = labelmap_of(instances, segment_per_node=True)
    assert labelmap.labels == (1,)
    assert labelmap.array.sum() == array.sum()


def test_segmentation_goes_into_the_folder_of_the_volume() -> None:
    import slicer

    from LNSegFMLib.scene.segments.segmentations import add_segmentation, labelmap_of
    from LNSegFMLib.scene.volumes import add_volume

    image = ct()
    volume = add_volume(image, "CT")
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "Study")
    hierarchy.CreateItem(study, volume)
    node = add_segmentation(labelmap_of(two_nodes(image), segment_per_node=True), volume, str, "Nodes")
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == study


def test_table_shows_rounded_numbers_and_the_size_class() -> None:
    from LNSegFMLib.scene.segments.lymph_node_records import NodeRecord
    from LNSegFMLib.texts.lymph_node_columns import columns, summary

    nodes = measure(two_nodes(ct(Spacing=(4.0, 4.0, 3.0))))[1]
    nodes[0] = replace(nodes[0], mean_hu=41.4, confidence=0.876, side="left")
    texts = [[column.text(node) for column in columns()] for node in nodes]
    diameters = f"{nodes[0].short_axis_mm:.1f} × {nodes[0].long_axis_mm:.1f}"
    assert texts[0] == ["1", "L", diameters, "2.30", "41", "target", "88"]  # 48 voxels of 48 mm³
    assert [text for column, text in zip(columns(), texts[1]) if column.name in ("side", "hu", "recist")] == [
        "", "", "normal",
    ]
    records = [NodeRecord(node, f"segment {node.number}", reviewed=node.number == 1) for node in nodes]
    assert summary(records) == (
        "2 lymph nodes, 2.6 cm³ in total. Short axis of 10 mm or more: 1; of 15 mm or more: 1. Reviewed: 1."
    )
    assert summary([]) == "No lymph nodes."


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (29, "29 s"), (31, "30 s"), (58, "1 min"), (81, "1 min 20 s"), (600, "10 min"), (3599, "1 h"),
     (3700, "1 h 2 min"), (7200, "2 h")],
)  # fmt: skip
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_error_is_explained_in_paragraphs() -> None:
    assert explain(UserError("What.", "", "To do.")) == "What.\n\nTo do."


class TestPackages:
    def test_missing_ones_are_named_without_an_import(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from LNSegFMLib.setup.packages import missing_packages

        monkeypatch.delenv("LNSEGFM_PYTHON", raising=False)
        without(monkeypatch, "nnunetv2")
        assert missing_packages() == ["nnunetv2>=2.6,<3"]
        assert missing_packages(["no_such_package"]) == ["nnunetv2>=2.6,<3", "no_such_package"]

    def test_versions_that_do_not_do_count_as_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from LNSegFMLib.setup.packages import missing_packages

        monkeypatch.delenv("LNSEGFM_PYTHON", raising=False)
        assert missing_packages() == []
        version = importlib.metadata.version
        monkeypatch.setattr(importlib.metadata, "version", lambda name: "2.4.1" if name == "torch" else version(name))
        assert missing_packages() == ["torch>=2.6,!=2.9.*"]

    def test_another_python_is_not_judged_by_this_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from LNSegFMLib.setup.packages import missing_packages

        without(monkeypatch, "torch", "nnunetv2")
        monkeypatch.setenv("LNSEGFM_PYTHON", "/usr/bin/python3")
        assert missing_packages() == []

    def test_ranges_are_installed_by_pip(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import slicer

        from LNSegFMLib.setup.packages import install_packages

        without(monkeypatch, "torch", "PyTorchUtils", "slicer.packaging")
        asked: list[Any] = []

        def pip_install(requirements: list[str]) -> None:
            asked.extend(requirements)
            monkeypatch.undo()

        monkeypatch.setattr(slicer.util, "pip_install", pip_install, raising=False)
        install_packages()
        assert any(each.startswith("torch>=") for each in asked)
        assert any(each.startswith("nnunetv2>=") for each in asked)
        assert not any(each.startswith("#") for each in asked)

    def test_failure_says_what_to_do(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import slicer

        from LNSegFMLib.setup.packages import install_packages

        def pip_install(requirements: list[str]) -> None:
            raise CalledProcessError(1, "pip")

        without(monkeypatch, "torch", "PyTorchUtils", "slicer.packaging")
        monkeypatch.setattr(slicer.util, "pip_install", pip_install, raising=False)
        with pytest.raises(UserError, match="internet connection"):
            install_packages()


def without(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name in names else find(name, *rest))
