"""Which of the lymph nodes that were found cannot be any, and why.

Only what is certain is called implausible. A calcified, fatty, necrotic or strongly enhanced lymph node is plausible,
and so is one of 4 mm in slices of 3 mm, or one that the end of the scan cuts. The limits are explained in
docs/explanation/plausibility.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import SimpleITK as sitk

from lnsegfm.images.body import Body, find_body
from lnsegfm.images.geometry import Geometry
from lnsegfm.lymph_nodes.instances import LymphNode, axial_axis, measure

# No scanner measures less than air; lower values fill what lies outside of its field of view.
_FILL_HU = -1100.0
# Emphysema begins at -950, normal lung ends near -700; both are no lymph node, the border is for the wording alone.
_AIR_HU = -900.0
# A small lymph node in lung, blurred by thick slices, stays above.
_LUNG_HU = -400.0
# Pure fat is near -100. A fatty hilum leaves a rim of soft tissue around it, a lipoma does not.
_FAT_HU = (-150.0, -80.0)
_SOFT_TISSUE_HU = -20.0
_RIM_SHARE = 0.05
# Calcified lymph nodes have mean values of some hundred HU, cortical bone more than 1000.
_BONE_HU = 1000.0
_METAL_HU = 2500.0
# Cancellous bone has the values of calcified lymph nodes, which, however, lie in fat and not within bone.
_DENSE_HU = 250.0
_DENSE_MEAN_HU = 300.0
_SHELL_MM = 5.0
_SHELL_SHARE_OF_DENSE, _SHELL_SHARE = 0.65, 0.8
# The outline of the body is known to some mm, and a label may reach over it.
_INSIDE_SHARE = 0.1
# Lymph nodes are beans: even a flat one is not fifteen times as long as it is thick.
_LONG_MM = 20.0
_THIN_MM = 2.5
_LENGTHS_OF_THIN, _LENGTHS_OF_ONE_VOXEL, _LENGTHS_OF_ONE_SLICE = 15.0, 10.0, 15.0
_MATERIALS = ("air", "lung", "fat", "bone", "metal")
_ONE_VOXEL = 1.2  # a slanting line of single voxels is a little thicker than one


def judge(
    nodes: Sequence[LymphNode],
    instances: np.ndarray,
    ct: np.ndarray,
    grid: Geometry,
    body: Body | None,
    first: Sequence[int] = (0, 0, 0),
) -> list[LymphNode]:
    """Return the lymph nodes with the reason why each is implausible, empty where it is not.

    Args:
        nodes: As of `lnsegfm.lymph_nodes.instances.measure`.
        instances: Their numbers by voxel, shape (z, y, x), in a part of the CT.
        ct: HU, shape (z, y, x), of the whole CT.
        grid: The grid of the CT.
        body: The patient; None where it was not found, and nothing is known to lie outside.
        first: Index (z, y, x) of the part's first voxel in the CT.
    """
    voxels = _voxels(instances, first)
    found = []
    # Without any air, the values may not be HU at all.
    in_hu = body is None or body.has_air
    for node in nodes:
        own = voxels.get(node.number)
        why = "" if own is None else _of_shape(node, own, grid)
        if own is not None and in_hu:
            why = _of_place(own, ct, grid, body) or why or _of_shell(own, ct, grid)
        found.append(replace(node, implausible=why))
    return found


def kept_apart(nodes: Sequence[LymphNode]) -> tuple[list[LymphNode], list[LymphNode], np.ndarray]:
    """Number plausible lymph nodes first, and the implausible ones after them; both keep their order.

    Args:
        nodes: Judged lymph nodes with the numbers 1, 2, ...

    Returns:
        The plausible ones, the implausible ones, and the new number by the old one, uint32, 0 for 0.
    """
    ordered = sorted(nodes, key=lambda node: bool(node.implausible))
    numbers = np.zeros(len(nodes) + 1, np.uint32)
    for number, node in enumerate(ordered, start=1):
        numbers[node.number] = number
    renumbered = [replace(node, number=number) for number, node in enumerate(ordered, start=1)]
    return (
        [node for node in renumbered if not node.implausible],
        [node for node in renumbered if node.implausible],
        numbers,
    )


def renumbered(instances: sitk.Image, numbers: np.ndarray) -> sitk.Image:
    """Return instances with other numbers, on the same grid.

    Args:
        instances: Numbers by voxel.
        numbers: The new number by the old one; 0 leaves a lymph node out.
    """
    if np.array_equal(numbers, np.arange(len(numbers))):
        return instances
    array = numbers.astype(np.uint32)[sitk.GetArrayViewFromImage(instances)]
    return Geometry.of(instances).put_on(sitk.GetImageFromArray(array))


def kind_of(reason: str) -> str:
    """Return the short form of a reason, such as "air" of "mean -1010 HU: air"."""
    return reason.rpartition(": ")[2].partition(" over ")[0]


def told(nodes: Iterable[LymphNode]) -> str:
    """Return implausible lymph nodes in words: "2 implausible: 1 outside the body (12.3 ml), 1 in bone (0.20 ml)"."""
    listed = list(nodes)
    return f"{len(listed)} implausible: {_by_kind(listed)}"


def _by_kind(nodes: Iterable[LymphNode]) -> str:
    volumes: dict[str, list[float]] = {}
    for node in nodes:
        kind = kind_of(node.implausible)
        volumes.setdefault(f"in {kind}" if kind in _MATERIALS else kind, []).append(node.volume_mm3 / 1000)
    return ", ".join(f"{len(each)} {kind} ({_ml(sum(each))})" for kind, each in volumes.items())


def told_left_out(nodes: Iterable[LymphNode]) -> str:
    """Return what was left out in words, see `told`; empty for nothing."""
    left_out = list(nodes)
    return told(left_out).replace("implausible:", "implausible left out:", 1) if left_out else ""


def implausible_in(ct: sitk.Image, labelled: np.ndarray) -> list[str]:
    """Return which labels of a CT cannot be lymph nodes in a sentence; none where all can.

    Args:
        ct: 3D CT in HU.
        labelled: bool, shape (z, y, x) of the CT.
    """
    instances, nodes = measure(Geometry.of(ct).put_on(sitk.GetImageFromArray(labelled.astype(np.uint8))))
    if not nodes:
        return []
    numbers, values = sitk.GetArrayViewFromImage(instances), sitk.GetArrayViewFromImage(ct)
    judged = judge(nodes, numbers, values, Geometry.of(ct), find_body(ct))
    odd = [node for node in judged if node.implausible]
    if not odd:
        return []
    regions = "region" if len(nodes) == 1 else "regions"
    return [
        f"{len(odd)} of {len(nodes)} labelled {regions} cannot be lymph nodes: {_by_kind(odd)}. They were stored as "
        "labelled; correct the labels if that is wrong."
    ]


def _ml(volume: float) -> str:
    return f"{volume:.1f} ml" if volume >= 1 else f"{volume:.2f} ml"


def _voxels(instances: np.ndarray, first: Sequence[int]) -> dict[int, np.ndarray]:
    """Return the voxels of each lymph node, (z, y, x) indices in the CT of shape (n, 3), by number."""
    flat = np.flatnonzero(instances)
    values = instances.ravel()[flat]
    order = np.argsort(values, kind="stable")
    indices = np.stack(np.unravel_index(flat[order], instances.shape), axis=1) + np.asarray(first)
    numbers, starts = np.unique(values[order], return_index=True)
    return dict(zip(numbers.tolist(), np.split(indices, starts[1:])))


def _of_place(voxels: np.ndarray, ct: np.ndarray, grid: Geometry, body: Body | None) -> str:
    """Tell whether it lies where the scanner sees nothing, outside the patient, or in what is no soft tissue."""
    values = ct[tuple(voxels.T)].astype(float)
    mean, median = float(values.mean()), float(np.median(values))
    if max(mean, median) < _FILL_HU:
        return f"mean {mean:.0f} HU: outside the field of view"
    if body is not None and body.holds(grid.positions(voxels[:, ::-1])).mean() < _INSIDE_SHARE:
        return "outside the body"
    return _of_values(values, mean, median)


def _of_values(values: np.ndarray, mean: float, median: float) -> str:
    """Tell what has such values and is no lymph node."""
    what = ""
    if max(mean, median) < _LUNG_HU:
        what = "air" if mean < _AIR_HU else "lung"
    elif _FAT_HU[0] <= mean <= _FAT_HU[1] and (values > _SOFT_TISSUE_HU).mean() < _RIM_SHARE:
        what = "fat"
    elif mean > _BONE_HU:
        what = "metal" if mean > _METAL_HU else "bone"
    return f"mean {mean:.0f} HU: {what}" if what else ""


def _of_shape(node: LymphNode, voxels: np.ndarray, grid: Geometry) -> str:
    """Tell whether it is a sliver: thin in its slices, or a sheet in one slice within the scan."""
    axial = axial_axis(grid)
    rows, columns = (axis for axis in range(3) if axis != axial)
    spacing = grid.spacing[::-1]
    levels = voxels[:, axial]
    height = (levels.max() - levels.min() + 1) * spacing[axial]
    length = max(node.long_axis_mm, float(height))
    if length < _LONG_MM:
        return ""
    thin, step = _thickness(voxels[:, [rows, columns]], levels, (spacing[rows], spacing[columns]))
    if thin <= _ONE_VOXEL * step and length >= _LENGTHS_OF_ONE_VOXEL * thin:
        return f"one voxel thin over {length:.0f} mm"
    if thin < _THIN_MM and length >= _LENGTHS_OF_THIN * thin:
        return f"{thin:.1f} mm thin over {length:.0f} mm"
    # What the end of the scan cuts may lie in its last slice alone.
    is_cut = levels.min() == 0 or levels.max() == grid.size[2 - axial] - 1
    if not is_cut and levels.min() == levels.max() and length >= _LENGTHS_OF_ONE_SLICE * height:
        return f"one slice thin over {length:.0f} mm"
    return ""


def _thickness(
    places: np.ndarray, levels: np.ndarray, spacing: tuple[float, float]
) -> tuple[float, float]:
    """Return the mean thickness in the slices in mm, and the size of a voxel across it.

    The thickness in a slice is the area by the length: that of a bean is 0.8 of its short axis, that of a bent sheet
    is too great, which calls fewer things thin.

    Args:
        places: Row and column of each voxel, shape (n, 2).
        levels: Slice of each voxel, shape (n,).
        spacing: Voxel size in mm (rows, columns).
    """
    order = np.argsort(levels, kind="stable")
    _, starts, counts = np.unique(levels[order], return_index=True, return_counts=True)
    spans = np.maximum.reduceat(places[order], starts) - np.minimum.reduceat(places[order], starts) + 1
    lengths = np.hypot(*(spans * spacing).T)
    thin = counts * spacing[0] * spacing[1] / lengths
    return float((thin * counts).sum() / counts.sum()), max(spacing)


def _of_shell(voxels: np.ndarray, ct: np.ndarray, grid: Geometry) -> str:
    """Tell whether what lies around is dense, as in bone or in a vessel full of contrast medium."""
    mean = float(ct[tuple(voxels.T)].mean())
    reach = np.ceil(_SHELL_MM / np.asarray(grid.spacing[::-1])).astype(int)
    low = np.maximum(voxels.min(axis=0) - reach, 0)
    high = np.minimum(voxels.max(axis=0) + reach + 1, ct.shape)
    dense = ct[tuple(slice(a, b) for a, b in zip(low, high))] > _DENSE_HU
    if np.count_nonzero(dense) < len(voxels) / 4:
        return ""  # a shell is larger; most lymph nodes end here
    inside = np.zeros(dense.shape, np.uint8)
    inside[tuple((voxels - low).T)] = 1
    grown = sitk.BinaryDilate(sitk.GetImageFromArray(inside), reach[::-1].tolist())
    shell = (sitk.GetArrayViewFromImage(grown) != 0) & (inside == 0)
    share = float(dense[shell].mean()) if shell.any() else 0.0
    wanted = _SHELL_SHARE_OF_DENSE if mean > _DENSE_MEAN_HU else _SHELL_SHARE
    return f"mean {mean:.0f} HU: within bone or dense contrast medium" if share >= wanted else ""
