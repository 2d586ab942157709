"""Lymph node labels as segmentation nodes of the scene, and back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer
import vtk
from vtk.util import numpy_support

from lnsegfm.images.geometry import Geometry
from lnsegfm.images.input_options import Placement
from lnsegfm.images.label_grids import label_on_grid
from lnsegfm.inputs.label_names import IMPLAUSIBLE, meaning_of
from LNSegFMLib.scene.matrices import matrix_of, vtk_matrix_of
from LNSegFMLib.scene.segments.label_boxes import Box, find_boxes, known_boxes, remember, voxels_of
from LNSegFMLib.scene.segments.terminology import LYMPH_NODE, LYMPH_NODE_COLOUR, lymph_node_colour, tag_of
from LNSegFMLib.scene.transforms import check_transform
from LNSegFMLib.scene.volumes import (
    geometry_of,
    geometry_of_volume,
    ijk_to_ras_of,
    matrix_between,
    voxels_of_volume,
)

BINARY = "Binary labelmap"
# A result with more is no anatomy, and Slicer would take minutes to list its segments.
MOST_SEGMENTS = 200


@dataclass(frozen=True, eq=False)
class Labelmap:
    """The box of a label image that holds all labels, ready to become a segmentation node.

    Args:
        array: Labels, uint8, shape (z, y, x) of the box.
        first: IJK of the box's first voxel.
        labels: The labels in it, ascending.
        boxes: Where each lies in the array, where that is known.
        members: First and last number of the lymph nodes that a label stands for, where it is not the number of one.
        implausible: The labels of what cannot be a lymph node.
    """

    array: np.ndarray
    first: tuple[int, int, int]
    labels: tuple[int, ...]
    boxes: Mapping[int, Box] = field(default_factory=dict)
    members: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    implausible: frozenset[int] = frozenset()


def labelmap_of(instances: sitk.Image, *, segment_per_node: bool, plausible: int | None = None) -> Labelmap:
    """Cut a label image down to its labels; slow for large volumes, so not for the thread of the user interface.

    Args:
        instances: Number of the lymph node by voxel, 0 is background.
        segment_per_node: Keep the numbers; otherwise, and where there are more than `MOST_SEGMENTS`, all become 1.
        plausible: How many are plausible, where the numbers after them are not; these get labels of their own, or one
            together.
    """
    array = sitk.GetArrayViewFromImage(instances)
    if not array.any():
        return Labelmap(np.zeros((0, 0, 0), np.uint8), (0, 0, 0), ())
    occupied = [np.flatnonzero(array.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
    box = tuple(slice(int(each[0]), int(each[-1]) + 1) for each in occupied)
    cut = array[box]
    highest = int(cut.max())
    last = highest if plausible is None else min(plausible, highest)
    labels = _labels_for(last, highest, segment_per_node)
    members = {int(label): (int(numbers[0]), int(numbers[-1])) for label in np.unique(labels[1:])
               if len(numbers := np.flatnonzero(labels == label)) > 1 or numbers[0] != label}  # fmt: skip
    cut = np.ascontiguousarray(labels[cut])
    first = (box[2].start, box[1].start, box[0].start)
    boxes = find_boxes(cut)
    return Labelmap(cut, first, tuple(boxes), boxes, members, frozenset(labels[last + 1:].tolist()))


def _labels_for(plausible: int, highest: int, segment_per_node: bool) -> np.ndarray:
    """Return the label of each number, uint8, shape (highest + 1,)."""
    numbers = np.arange(highest + 1)
    if not segment_per_node or plausible > MOST_SEGMENTS:
        labels = np.where(numbers > plausible, 2 if plausible else 1, numbers > 0)
    elif highest > MOST_SEGMENTS:
        labels = np.minimum(numbers, plausible + 1)
    else:
        labels = numbers
    return labels.astype(np.uint8)


def add_segmentation(labelmap: Labelmap, volume_node: Any, names: Callable[[int], str], node_name: str) -> Any:
    """Add a segmentation node for a volume: its grid, its parent transform, its folder in the subject hierarchy.

    All segments share one labelmap, as Slicer itself stores segments that do not overlap.

    Args:
        labelmap: The labels, with IJK of ``volume_node``.
        volume_node: The vtkMRMLScalarVolumeNode they belong to; it is not changed.
        names: Name of the segment, by label.
        node_name: Name of the new node; a number is appended when it is taken.

    Returns:
        The vtkMRMLSegmentationNode. When anything goes wrong, none is left in the scene.
    """
    scene = slicer.mrmlScene
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", scene.GenerateUniqueName(node_name))
    try:
        node.CreateDefaultDisplayNodes()
        node.SetReferenceImageGeometryParameterFromVolumeNode(volume_node)
        node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
        _put_beside(node, volume_node, scene)
        # Tables and views follow once, not for every lymph node.
        with slicer.util.NodeModify(node):
            _fill(node.GetSegmentation(), labelmap, ijk_to_ras_of(volume_node), names)
    except Exception:
        remove_segmentation(node)
        raise
    return node


def remove_segmentation(node: Any) -> None:
    """Remove a segmentation node and what was made for it."""
    for index in reversed(range(node.GetNumberOfDisplayNodes())):
        display_node = node.GetNthDisplayNode(index)
        if display_node is not None:
            slicer.mrmlScene.RemoveNode(display_node)
    slicer.mrmlScene.RemoveNode(node)


@contextmanager
def segments_without(segmentation_node: Any, volume_node: Any, without: Collection[str]) -> Iterator[Any]:
    """Give a copy of a segmentation node without some segments for the time of the block; none where all stay.

    Args:
        segmentation_node: vtkMRMLSegmentationNode.
        volume_node: The volume node that it was drawn on.
        without: Ids of the segments.
    """
    if not without:
        yield segmentation_node
        return
    copy = slicer.mrmlScene.CreateNodeByClass("vtkMRMLSegmentationNode")
    copy.UnRegister(None)
    copy.SetHideFromEditors(True)  # or every selector would offer it
    copy.SetName(segmentation_node.GetName())
    slicer.mrmlScene.AddNode(copy)
    try:
        copy.SetReferenceImageGeometryParameterFromVolumeNode(volume_node)
        copy.SetAndObserveTransformNodeID(segmentation_node.GetTransformNodeID())
        segmentation = copy.GetSegmentation()
        segmentation.DeepCopy(segmentation_node.GetSegmentation())
        for segment_id in without:
            segmentation.RemoveSegment(segment_id)
        _put_beside(copy, volume_node, slicer.mrmlScene)
        yield copy
    finally:
        remove_segmentation(copy)


def segment_colours(node: Any | None) -> dict[str, tuple[float, float, float]]:
    """Return the colour of each segment, RGB from 0 to 1, by its id."""
    if node is None:
        return {}
    segmentation = node.GetSegmentation()
    return {segment_id: segmentation.GetSegment(segment_id).GetColor() for segment_id in segmentation.GetSegmentIDs()}


def label_reader(
    segmentation_node: Any, volume_node: Any, without: Collection[str] = (), *, placement: Placement = "certain",
    all_segments: bool = False,
) -> Callable[[], sitk.Image]:
    """Take what is needed of a segmentation node now, so that another thread can make the labels from it.

    Args:
        segmentation_node: vtkMRMLSegmentationNode, or None for no labels at all.
        volume_node: The volume node the labels are for.
        without: Ids of segments to leave out.
        placement: What the user says of segments on another grid, see `lnsegfm.images.input_options.InputOptions`.
        all_segments: Take those as well that are called something else than a lymph node.

    Returns:
        A function that returns the union of the segments on the volume's grid: uint8, 0 and 1. It raises PlacementError
        when it is not certain where they lie, and UserError when they do not fit the volume.

    Raises:
        UserError: The segments cannot be brought to the volume, for a transform between them is not linear.
    """
    grid = geometry_of_volume(volume_node)
    layers: list[_Layer] = []
    if segmentation_node is not None:
        to_volume = _to_volume(segmentation_node, volume_node)
        others = [] if all_segments else [segment_id for segment_id, _name in other_segments(segmentation_node)]
        labelmaps = _labelmaps(segmentation_node, {*without, *others})
        layers = [_Layer.of(image, values, to_volume) for image, values in labelmaps]
    ct = voxels_of_volume(volume_node)

    def read() -> sitk.Image:
        union = np.zeros(grid.size[::-1], np.uint8)
        for layer in layers:
            union |= label_on_grid(layer.union(), grid, placement=placement, ct=ct)
        return grid.put_on(sitk.GetImageFromArray(union))

    return read


def other_segments(segmentation_node: Any) -> list[tuple[str, str]]:
    """Return id and name of the segments that are called something else than a lymph node, such as an artery.

    Segments whose names say nothing, such as "Segment_1", are lymph nodes: the user drew them for this module.
    """
    segmentation = segmentation_node.GetSegmentation()
    found = []
    for segment_id in segmentation.GetSegmentIDs():
        segment = segmentation.GetSegment(segment_id)
        name = str(segment.GetName())
        # What is implausible is left out by what was measured, see `segments_apart`, unless the user wants it.
        if IMPLAUSIBLE not in name.casefold() and meaning_of(name, tag_of(segment)) in ("other", "unclear"):
            found.append((str(segment_id), name))
    return found


def mask_reader(segmentation_node: Any, volume_node: Any) -> Callable[[], dict[str, sitk.Image]]:
    """Take what is needed of a segmentation node now, so that another thread can make a mask of each segment.

    Args:
        segmentation_node: vtkMRMLSegmentationNode.
        volume_node: The volume node the masks are for.

    Returns:
        A function that returns the masks by segment id: uint8, 0 and 1, on the segmentation's own grid, cut down to the
        segment, in LPS of the volume before its parent transform. A segment without voxels has none.

    Raises:
        UserError: The segments cannot be brought to the volume, for a transform between them is not linear.
    """
    to_volume = _to_volume(segmentation_node, volume_node)
    layers = [_Layer.of(image, values, to_volume) for image, values in _labelmaps(segmentation_node)]
    return lambda: {segment_id: mask for layer in layers for segment_id, mask in layer.masks()}


def image_in(grid: Geometry, array: np.ndarray, first: Sequence[int]) -> sitk.Image:
    """Return an array as the image of a box of a grid.

    Args:
        grid: The grid.
        array: Voxels of the box, shape (z, y, x).
        first: Index (i, j, k) of the box's first voxel.
    """
    x, y, z = array.shape[::-1]
    a, b, c = grid.positions(np.asarray(first)[None])[0].tolist()
    return Geometry((x, y, z), grid.spacing, (a, b, c), grid.direction).put_on(sitk.GetImageFromArray(array))


@dataclass(frozen=True, eq=False)
class _Layer:
    """A copy of what segments have in the labelmap that they share, since the user may go on drawing.

    Args:
        grid: Its grid, in LPS of the volume.
        state: Its modification time.
        values: The labels of the segments, by id.
        cuts: Box and mask of each segment, where the boxes are known.
        whole: All voxels where they are not.
    """

    grid: Geometry
    state: int
    values: dict[str, int]
    cuts: dict[str, tuple[Box, np.ndarray]]
    whole: np.ndarray | None

    @classmethod
    def of(cls, image: Any, values: dict[str, int], to_volume: np.ndarray) -> _Layer:
        matrix = vtk.vtkMatrix4x4()
        image.GetImageToWorldMatrix(matrix)
        grid = geometry_of(to_volume @ matrix_of(matrix), image.GetDimensions(), image.GetExtent()[::2])
        array, boxes = voxels_of(image), known_boxes(image)
        if not all(value in boxes for value in values.values()):
            return cls(grid, image.GetMTime(), values, {}, array.copy())
        cuts = {each: (box, array[box] == value) for each, value in values.items() if (box := boxes[value]) is not None}
        return cls(grid, image.GetMTime(), values, cuts, None)

    def union(self) -> sitk.Image:
        """Return the union of the segments, uint8, 0 and 1."""
        union = np.zeros(self.grid.size[::-1], np.uint8)
        for box, mask in self._found().values():
            union[box][mask] = 1
        return self.grid.put_on(sitk.GetImageFromArray(union))

    def masks(self) -> Iterator[tuple[str, sitk.Image]]:
        """Yield the mask of each segment that has voxels, cut down to them."""
        for segment_id, (box, mask) in self._found().items():
            yield segment_id, image_in(self.grid, mask.astype(np.uint8), [part.start for part in box[::-1]])

    def _found(self) -> dict[str, tuple[Box, np.ndarray]]:
        if self.whole is None:
            return self.cuts
        boxes = find_boxes(self.whole)
        remember(self.state, {value: boxes.get(value) for value in self.values.values()})
        return {
            each: (boxes[value], self.whole[boxes[value]] == value)
            for each, value in self.values.items() if value in boxes
        }


def _fill(
    segmentation: Any, labelmap: Labelmap, ijk_to_ras: np.ndarray, names: Callable[[int], str]
) -> None:
    if not labelmap.labels:
        return
    shared = oriented_image(labelmap, ijk_to_ras)
    one = len(set(labelmap.labels) - labelmap.implausible) == 1
    for label in labelmap.labels:
        segment = slicer.vtkSegment()
        segment.SetName(names(label))
        segment.SetColor(*(LYMPH_NODE_COLOUR if one else lymph_node_colour(label)))
        segment.SetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), LYMPH_NODE)
        segment.SetLabelValue(label)
        segment.AddRepresentation(BINARY, shared)
        if not segmentation.AddSegment(segment, f"LymphNode_{label}"):
            raise RuntimeError(f"Slicer did not accept the segment of label {label}.")
    remember(shared.GetMTime(), labelmap.boxes)


def oriented_image(labelmap: Labelmap, ijk_to_ras: np.ndarray) -> Any:
    """Return labels as vtkOrientedImageData, as segments hold them.

    Args:
        labelmap: The labels.
        ijk_to_ras: 4x4 matrix from its IJK to mm in the segmentation's own RAS.
    """
    image = slicer.vtkOrientedImageData()
    bounds = [(low, low + count - 1) for low, count in zip(labelmap.first, labelmap.array.shape[::-1])]
    image.SetExtent([end for pair in bounds for end in pair])
    scalars = numpy_support.numpy_to_vtk(labelmap.array.ravel(), deep=True)
    scalars.SetName("ImageScalars")
    image.GetPointData().SetScalars(scalars)
    image.SetImageToWorldMatrix(vtk_matrix_of(ijk_to_ras))
    return image


def _put_beside(node: Any, volume_node: Any, scene: Any) -> None:
    """Put a node into the folder (patient, study) of a volume node in the subject hierarchy."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    volume_item = hierarchy.GetItemByDataNode(volume_node)
    if volume_item == slicer.vtkMRMLSubjectHierarchyNode.GetInvalidItemID():
        return
    parent, item = hierarchy.GetItemParent(volume_item), hierarchy.GetItemByDataNode(node)
    if item == slicer.vtkMRMLSubjectHierarchyNode.GetInvalidItemID():
        hierarchy.CreateItem(parent, node)
    else:
        hierarchy.SetItemParent(item, parent)


def _to_volume(segmentation_node: Any, volume_node: Any) -> np.ndarray:
    check_transform(volume_node)
    return matrix_between(segmentation_node, volume_node, "The segmentation cannot be brought to the volume.")


def _labelmaps(segmentation_node: Any, without: Collection[str] = ()) -> list[tuple[Any, dict[str, int]]]:
    """Return each labelmap that is not empty, and the labels of the segments in it by id: several may share one."""
    segmentation = segmentation_node.GetSegmentation()
    if segmentation.GetNumberOfSegments() and not segmentation.ContainsRepresentation(BINARY):
        segmentation_node.CreateBinaryLabelmapRepresentation()
    labels: dict[int, tuple[Any, dict[str, int]]] = {}
    for segment_id in segmentation.GetSegmentIDs():
        segment = segmentation.GetSegment(segment_id)
        image = segment.GetRepresentation(BINARY)
        if segment_id not in without and image is not None and not image.IsEmpty():
            labels.setdefault(id(image), (image, {}))[1][segment_id] = segment.GetLabelValue()
    return list(labels.values())
