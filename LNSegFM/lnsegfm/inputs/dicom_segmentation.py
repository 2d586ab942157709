"""Reading a DICOM segmentation (SEG) as a label image with named segments, as Slicer's ``.seg.nrrd`` is read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK as sitk

from lnsegfm.base.errors import UserError
from lnsegfm.dicom.headers import check_deflated, transfer_syntax
from lnsegfm.formats.announced_size import check_fits
from lnsegfm.formats.given_files import open_given
from lnsegfm.images.geometry import Geometry

SEGMENTATION_STORAGE = "1.2.840.10008.5.1.4.1.1.66.4"
# Positions are decimal texts of at most 16 characters; what is further off, in slices, is not on a regular grid.
_SLICE_TOLERANCE = 0.05
_IN_PLANE_MM = 0.01
# Unpacked bits as bytes, and the comparison of each with 0; a layer of labels and its copy.
_FRAME_VOXEL_BYTES, _LAYER_BYTES = 2, 4


def read_segmentation(path: Path) -> sitk.Image:
    """Read a binary segmentation whose segments lie in one frame of reference on parallel, evenly spaced planes.

    Args:
        path: DICOM file.

    Returns:
        uint16 image on the segmentation's own grid, a component for each layer where segments overlap; its header has
        ``Segment{N}_Name``, ``_LabelValue``, ``_Layer`` and ``_Tags`` of each segment, as ``.seg.nrrd`` has them.

    Raises:
        UserError: It is no such segmentation, or it is damaged.
    """
    try:
        with open_given(path) as stream:
            check_deflated(path, stream)
            dataset = pydicom.dcmread(stream, force=True)
        if str(dataset.get("SOPClassUID", "")) != SEGMENTATION_STORAGE:
            raise _refusal(
                f"{path.name} is DICOM, but no segmentation (SEG); its modality is {dataset.get('Modality', '?')}.",
                "Choose a SEG file, or a NIfTI, NRRD or MHA label file.",
            )
        kind = str(dataset.get("SegmentationType", ""))
        if kind != "BINARY":
            raise _refusal(f"Its type is {kind or 'not given'}; only BINARY is read.", _CONVERT)
        _check_size(path, dataset)
        return _image(path, dataset)
    except UserError:
        raise
    except Exception as error:
        # pydicom raises whatever a damaged element leads to.
        raise _refusal(f"It is damaged: {type(error).__name__}: {error}.", "Export it again.") from error


_CONVERT = "Convert it to NIfTI or NRRD on the CT's grid, for example by opening it in Slicer and saving it."


@dataclass(frozen=True)
class _Frame:
    segment: int
    position: tuple[float, float, float]


def _check_size(path: Path, dataset: Any) -> None:
    """Refuse frames that the memory cannot hold, or that the pixel data is too short for."""
    shape = (int(dataset.Columns), int(dataset.Rows), int(dataset.get("NumberOfFrames") or 1))
    check_fits(path, shape, _FRAME_VOXEL_BYTES)
    syntax = transfer_syntax(dataset)
    bits, stored = int(dataset.get("BitsAllocated") or 1), len(dataset.get("PixelData") or b"")
    expected = shape[2] * 8 if syntax.is_compressed and not syntax.is_deflated else math.prod(shape) * bits // 8
    if stored < expected:
        raise _refusal(f"Its pixel data is cut short: {stored} bytes for {shape[2]} frames.", "Export it again.")


def _image(path: Path, dataset: Any) -> sitk.Image:
    planes = np.asarray(dataset.pixel_array) != 0
    planes = planes[None] if planes.ndim == 2 else planes
    shared = _first(dataset, "SharedFunctionalGroupsSequence")
    groups = list(dataset.PerFrameFunctionalGroupsSequence)
    if len(groups) != len(planes):
        raise _refusal(f"It has {len(planes)} frames, but says where {len(groups)} lie.", "Export it again.")
    orientations = {tuple(map(float, _find(group, shared, "PlaneOrientationSequence").ImageOrientationPatient))
                    for group in groups}  # fmt: skip
    measures = {_spacing(_find(group, shared, "PixelMeasuresSequence")) for group in groups}
    if len(orientations) != 1 or len(measures) != 1:
        raise _refusal("Its frames have different orientations or pixel sizes.", _CONVERT)
    frames = [
        _Frame(
            int(_find(group, shared, "SegmentIdentificationSequence").ReferencedSegmentNumber),
            tuple(map(float, _find(group, shared, "PlanePositionSequence").ImagePositionPatient)),  # type: ignore[arg-type]
        )
        for group in groups
    ]
    grid, slices = _grid(frames, orientations.pop(), measures.pop(), planes.shape[1:])
    check_fits(path, (*grid.size, len({frame.segment for frame in frames}) + _LAYER_BYTES), 1)
    masks: dict[int, np.ndarray] = {}
    for frame, plane, number in zip(frames, planes, slices, strict=True):
        masks.setdefault(frame.segment, np.zeros(grid.size[::-1], bool))[number] |= plane
    segments = {int(each.SegmentNumber): each for each in dataset.SegmentSequence}
    if unknown := sorted(masks.keys() - segments.keys()):
        raise _refusal(f"Its frames show the segment {unknown[0]}, which it does not describe.", "Export it again.")
    return _labels(grid, masks, segments)


def _grid(
    frames: Sequence[_Frame], cosines: tuple[float, ...], measures: tuple[float, float, float], shape: tuple[int, ...]
) -> tuple[Geometry, list[int]]:
    """Return the grid of all frames, and the slice number of each; slices without any segment are often left out."""
    row, column = np.array(cosines[:3]), np.array(cosines[3:])
    normal = np.cross(row, column)
    positions = np.array([frame.position for frame in frames])
    heights = positions @ normal
    first = positions[int(np.argmin(heights))]
    distances = np.diff(np.unique(np.round(heights, 4)))
    distances = distances[distances > _SLICE_TOLERANCE * measures[2]] if measures[2] else distances[distances > 1e-3]
    step = measures[2] or (float(distances.min()) if len(distances) else 1.0)
    # The thickness may be given alone, and differ from the distance.
    if len(distances) and abs(distances.min() / step - round(distances.min() / step)) > _SLICE_TOLERANCE:
        step = float(distances.min())
    numbers = (heights - heights.min()) / step
    apart = positions - first - np.outer(heights - heights.min(), normal)
    if np.abs(numbers - np.rint(numbers)).max() > _SLICE_TOLERANCE or np.abs(apart).max() > _IN_PLANE_MM:
        raise _refusal("Its slices do not lie on one regular grid.", _CONVERT)
    size = (int(shape[1]), int(shape[0]), int(np.rint(numbers).max()) + 1)
    direction = tuple(np.stack([row, column, normal], axis=1).ravel().tolist())
    a, b, c = first.tolist()
    grid = Geometry(size, (measures[1], measures[0], step), (a, b, c), direction)
    return grid, np.rint(numbers).astype(int).tolist()


def _labels(grid: Geometry, masks: Mapping[int, np.ndarray], segments: Mapping[int, Any]) -> sitk.Image:
    layers: list[np.ndarray] = []
    places: dict[int, int] = {}
    for number, mask in masks.items():
        layer = next((index for index, each in enumerate(layers) if not each[mask].any()), len(layers))
        if layer == len(layers):
            layers.append(np.zeros(grid.size[::-1], np.uint16))
        layers[layer][mask] = number
        places[number] = layer
    image = grid.put_on(sitk.GetImageFromArray(np.stack(layers, axis=-1), isVector=True))
    for index, (number, segment) in enumerate(sorted(segments.items())):
        code = _first(segment, "SegmentedPropertyTypeCodeSequence")
        named = "" if code is None else "^".join(
            str(code.get(tag, "")) for tag in ("CodingSchemeDesignator", "CodeValue", "CodeMeaning")
        )
        tags = {
            "Name": str(segment.get("SegmentLabel", "")), "LabelValue": str(number),
            "Layer": str(places.get(number, 0)), "Tags": f"TerminologyEntry:~~{named}~",
        }  # fmt: skip
        for key, value in tags.items():
            image.SetMetaData(f"Segment{index}_{key}", value)
    return image


def _spacing(measures: Any) -> tuple[float, float, float]:
    rows, columns = map(float, measures.PixelSpacing)
    between = measures.get("SpacingBetweenSlices") or measures.get("SliceThickness") or 0.0
    return rows, columns, abs(float(between))


def _find(group: Any, shared: Any, name: str) -> Any:
    """Return the only item of a functional group, of a frame or shared by all."""
    item = _first(group, name) or (_first(shared, name) if shared is not None else None)
    if item is None:
        raise _refusal(f"It lacks {name}, without which its place is not known.", "Export it again.")
    return item


def _first(dataset: Any, name: str) -> Any:
    sequence = dataset.get(name)
    return sequence[0] if sequence else None


def _refusal(why: str, todo: str) -> UserError:
    return UserError("The DICOM segmentation cannot be used.", why, todo)
