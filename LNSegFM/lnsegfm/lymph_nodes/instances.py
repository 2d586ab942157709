"""Lymph nodes in a labelmap: instances and their measurements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import SimpleITK as sitk

from lnsegfm.base import schema
from lnsegfm.images.geometry import Geometry
from lnsegfm.images.orientation import axis_map, greatest
from lnsegfm.images.volume_checks import check_volume
from lnsegfm.lymph_nodes.diameters import Diameters, Line, diameters, long_axis

TARGET_MM = 15.0
NON_TARGET_MM = 10.0
_DECIMALS = 3

Point = tuple[float, float, float]


@dataclass(frozen=True)
class LymphNode:
    """Measurements of one lymph node, on the physical grid.

    Args:
        number: Its value in the instance labels; 1 is the largest.
        volume_mm3: Voxel count times voxel volume.
        short_axis_mm: Longest chord perpendicular to the long axis, in the same slice.
        long_axis_mm: Greatest distance between two boundary points in one axial slice, of all axial slices.
        centroid_ras: Mean position of its voxels, mm.
        size_class: RECIST 1.1 by the short axis: "target" from 15 mm, "non-target" from 10 mm, else "normal".
        long_axis_ras: End points of the long axis, mm.
        short_axis_ras: End points of the short axis, mm.
        mean_hu: Mean of the CT over its voxels; None without a CT, see `lnsegfm.lymph_nodes.intensity.describe`.
        confidence: Mean foreground probability over its voxels, 0 to 1; None where no probability is known.
        side: "left" or "right" of the body's midline, the patient's own sides; "" near it or where it is not known.
        implausible: Why it cannot be a lymph node, such as "outside the body"; "" where it can be one or nobody has
            judged, see `lnsegfm.lymph_nodes.plausibility.judge`.
    """

    number: int
    volume_mm3: float
    short_axis_mm: float
    long_axis_mm: float
    centroid_ras: Point
    size_class: str
    long_axis_ras: tuple[Point, Point]
    short_axis_ras: tuple[Point, Point]
    mean_hu: float | None = None
    confidence: float | None = None
    side: str = ""
    implausible: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON types, for a message between processes."""
        return dict(vars(self))  # all of its fields are values already

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> LymphNode:
        """Rebuild a lymph node from `to_json`, also after it went through JSON text.

        Raises:
            SchemaError: It is not what `to_json` gives.
        """
        return schema.read(cls, fields)


def label_instances(labels: sitk.Image) -> sitk.Image:
    """Number the 26-connected regions of all voxels that are not 0, from 1, by descending volume.

    Args:
        labels: 3D scalar image.

    Returns:
        uint32 image on the same grid. The numbers do not depend on the axis order in which the grid was stored.

    Raises:
        UserError: Not a 3D scalar image, or a sheared grid.
    """
    return _Instances(labels).image()


def measure(
    labels: sitk.Image, *, minimum_volume_mm3: float = 0.0, minimum_short_axis_mm: float = 0.0
) -> tuple[sitk.Image, list[LymphNode]]:
    """Find and measure the lymph nodes of a labelmap.

    Axial slices are those of the grid whose normal is closest to superior. Long and short axis are measured as in
    RECIST 1.1 (Eisenhauer et al. 2009), in the axial slice with the longest long axis.

    Args:
        labels: 3D scalar image; 0 is background.
        minimum_volume_mm3: Smaller regions are left out of both results, and the numbers close up.
        minimum_short_axis_mm: So are regions with a smaller short axis.

    Returns:
        Instances as of `label_instances`, and the lymph nodes by their number.

    Raises:
        UserError: Not a 3D scalar image, or a sheared grid.
    """
    instances = _Instances(labels)
    instances.keep(instances.counts * _voxel_volume(instances.geometry) >= minimum_volume_mm3)
    found = [_measured(number, voxels, instances.geometry) for number, voxels in enumerate(instances.voxels(), start=1)]
    large = [node.short_axis_mm >= round(minimum_short_axis_mm, _DECIMALS) for node in found]
    instances.keep(np.array(large, bool))
    kept = [node for node, is_large in zip(found, large) if is_large]
    return instances.image(), [replace(node, number=number) for number, node in enumerate(kept, start=1)]


class _Instances:
    """The regions of a labelmap as voxel lists, in the axis order closest to LPS.

    Everything is done in that order, so that also the choice among equally large regions or equally long axes depends
    on the patient alone and not on how the volume was stored.
    """

    def __init__(self, labels: sitk.Image) -> None:
        check_volume(labels)
        self._like = Geometry.of(labels)
        self._axes = axis_map(labels.GetDirection())
        self.geometry = self._axes.apply_geometry(self._like)
        foreground = self._axes.apply(sitk.GetArrayViewFromImage(labels) != 0)
        box = _bounding_box(foreground)
        cropped = np.ascontiguousarray(foreground[box])
        self._indices = np.argwhere(cropped)
        self._values = _ranks(_connected(cropped)[cropped])
        self._indices += [part.start for part in box]

    def image(self) -> sitk.Image:
        """Return the numbers on the grid of the labels."""
        numbers = np.zeros(self.geometry.size[::-1], np.uint32)
        numbers[tuple(self._indices.T)] = self._values
        return self._like.put_on(sitk.GetImageFromArray(np.ascontiguousarray(self._axes.invert(numbers))))

    @property
    def counts(self) -> np.ndarray:
        """Voxels of each region, by number from 1."""
        return np.bincount(self._values, minlength=1)[1:]

    def keep(self, wanted: np.ndarray) -> None:
        """Forget regions and close the gaps in the numbers.

        Args:
            wanted: bool, shape (n,), by number from 1.
        """
        numbers = np.append(0, np.where(wanted, np.cumsum(wanted), 0)).astype(np.uint32)[self._values]
        self._indices, self._values = self._indices[numbers > 0], numbers[numbers > 0]

    def voxels(self) -> Iterator[np.ndarray]:
        """Yield the voxels of each region, (z, y, x) indices of shape (n, 3), by number."""
        counts = self.counts
        by_number = self._indices[np.argsort(self._values, kind="stable")]
        yield from np.split(by_number, np.cumsum(counts)[:-1]) if len(counts) else ()


def _bounding_box(foreground: np.ndarray) -> tuple[slice, slice, slice]:
    plane = np.asarray(foreground.any(axis=0))
    occupied = (foreground.any(axis=(1, 2)), plane.any(axis=1), plane.any(axis=0))
    z, y, x = (np.flatnonzero(line) if line.any() else np.array([0, -1]) for line in occupied)
    return slice(z[0], z[-1] + 1), slice(y[0], y[-1] + 1), slice(x[0], x[-1] + 1)


def _connected(foreground: np.ndarray) -> np.ndarray:
    if not foreground.size:
        return foreground.astype(np.uint32)
    components = sitk.ConnectedComponent(sitk.GetImageFromArray(foreground.astype(np.uint8)), True)
    return sitk.GetArrayFromImage(components)


def _ranks(components: np.ndarray) -> np.ndarray:
    """Renumber component numbers, shape (n,), by descending count; equal counts in the order of the numbers."""
    counts = np.bincount(components)
    ranks = np.empty(len(counts), np.uint32)
    ranks[np.argsort(-counts, kind="stable")] = np.arange(1, len(counts) + 1)
    # Number 0, the background, has no voxels here and ranks last.
    return ranks[components]


def _measured(number: int, voxels: np.ndarray, geometry: Geometry) -> LymphNode:
    axial = axial_axis(geometry)
    rows, columns = (axis for axis in range(3) if axis != axial)
    # Image axes (x, y, z) and array axes (z, y, x) are each other's reverse.
    spacing = (geometry.spacing[2 - rows], geometry.spacing[2 - columns])
    corner = voxels.min(axis=0)
    mask = np.zeros(voxels.max(axis=0) - corner + 1, bool)
    mask[tuple((voxels - corner).T)] = True
    level, found = _in_widest_slice(np.moveaxis(mask, axial, 0), spacing)

    def ras(line: Line) -> tuple[Point, Point]:
        points = np.empty((2, 3))
        points[:, axial], points[:, [rows, columns]] = level, line
        first, second = _ras(points + corner, geometry)
        return first, second

    return LymphNode(
        number=number,
        volume_mm3=round(len(voxels) * _voxel_volume(geometry), _DECIMALS),
        short_axis_mm=round(found.short_mm, _DECIMALS),
        long_axis_mm=round(found.long_mm, _DECIMALS),
        centroid_ras=_ras(voxels.mean(axis=0, keepdims=True), geometry)[0],
        size_class=size_class(found.short_mm),
        long_axis_ras=ras(found.long_ends),
        short_axis_ras=ras(found.short_ends),
    )


def size_class(short_axis_mm: float) -> str:
    """Return the RECIST 1.1 class of a lymph node: "target", "non-target" or "normal"."""
    # A length of whole voxels must not fall below a limit by the rounding of its sum.
    length = round(short_axis_mm, _DECIMALS)
    return "target" if length >= TARGET_MM else "non-target" if length >= NON_TARGET_MM else "normal"


def axial_axis(geometry: Geometry) -> int:
    """Return the array axis (z, y, x) along which the slices closest to axial are stacked."""
    normals = np.reshape(geometry.direction, (3, 3)).T
    upwards = normals * np.where(normals[:, 2:] < 0, -1, 1)
    return 2 - greatest(upwards[:, ::-1])


def _in_widest_slice(mask: np.ndarray, spacing: tuple[float, float]) -> tuple[int, Diameters]:
    """Measure in the slice (first axis of ``mask``) with the longest long axis; the first of several."""
    bounds = np.hypot(*_spans(mask, spacing))
    best, level = -1.0, 0
    for candidate in np.argsort(-bounds, kind="stable"):
        if bounds[candidate] <= best:
            break
        length, _ = long_axis(mask[candidate], spacing)
        if length > best:
            best, level = length, int(candidate)
    return level, diameters(mask[level], spacing)


def _spans(mask: np.ndarray, spacing: tuple[float, float]) -> list[np.ndarray]:
    """Return height and width in mm of each slice's bounding box."""
    spans = []
    for axis in (1, 2):
        line = np.asarray(mask.any(axis=3 - axis))
        first, last = line.argmax(axis=1), line.shape[1] - 1 - line[:, ::-1].argmax(axis=1)
        spans.append(np.where(line.any(axis=1), last - first + 1, 0) * spacing[axis - 1])
    return spans


def _voxel_volume(geometry: Geometry) -> float:
    return float(np.prod(geometry.spacing))


def _ras(indices: np.ndarray, geometry: Geometry) -> list[Point]:
    """Return the RAS positions in mm of continuous array indices (z, y, x), shape (n, 3)."""
    points = np.round(geometry.positions(indices[:, ::-1]) * (-1.0, -1.0, 1.0), _DECIMALS) + 0.0
    return [(float(r), float(a), float(s)) for r, a, s in points]
