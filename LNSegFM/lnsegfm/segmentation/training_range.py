"""Whether a scan is like those that a model was trained on: what lies far off is worth a warning, no more.

nnU-Net's plans say how large the training scans were, how thick their slices, and which HU the lymph nodes in them had.
The limits are wide: a chest CT is no whole-body scan to a model of the neck, and slices of 3 mm are no thick ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk

from lnsegfm.images.body import Body
from lnsegfm.images.geometry import Geometry
from lnsegfm.images.orientation import axis_map

# From head to foot: vertex to thigh is more than three times a neck; chest, abdomen and pelvis are twice a chest.
# Across: the widest field of view is less than four times a narrow one, and shows more air only.
_TIMES_LARGER = (4.0, 4.0, 3.0)
# A neck that was zoomed to fills a third of a wide field of view.
_TIMES_SMALLER = 5.0
_TIMES_THICKER = 2.5
# Slices up to here are usual in scans of neck and chest, also for a model of 1 mm.
_USUAL_THICKNESS_MM = 5.0
# In each part of a body much more of it than this is muscle, vessel or gland.
_LEAST_SHARE = 0.05
_AXES = ("from left to right", "from front to back", "from head to foot")


@dataclass(frozen=True)
class TrainingRange:
    """What the plans of a model say of its training scans.

    Args:
        size_mm: Their median extent along left-right, anterior-posterior and superior-inferior.
        thickness_mm: The distance of their slices along superior-inferior, or the model's own where that is greater.
        hu: Percentiles 0.5 and 99.5 of the lymph nodes in them.
    """

    size_mm: tuple[float, float, float] | None = None
    thickness_mm: float | None = None
    hu: tuple[float, float] | None = None

    @classmethod
    def of(cls, plans: Mapping[str, Any], spacing: Sequence[float], orientation: str) -> TrainingRange:
        """Return what nnU-Net plans say; what they do not say, or not in numbers, is None.

        Args:
            plans: Content of ``plans.json``.
            spacing: Of the model's configuration, in the order of the plans' axes.
            orientation: Axis code of the voxel order that the model was trained in.
        """
        back = plans.get("transpose_backward", [0, 1, 2])
        shape = _numbers(plans.get("original_median_shape_after_transp"))
        median = _numbers(plans.get("original_median_spacing_after_transp"))
        # Array axes (z, y, x) of the voxel order, and where each of L-R, A-P and S-I is among them.
        places = [2 - next(axis for axis in range(3) if orientation[axis] in pair) for pair in ("LR", "AP", "SI")]
        order = [int(back[place]) for place in places]
        size = thickness = None
        if shape and median:
            size = (shape[order[0]] * median[order[0]], shape[order[1]] * median[order[1]],
                    shape[order[2]] * median[order[2]])  # fmt: skip
        own = _numbers(spacing)
        if own:
            thickness = max(own[order[2]], median[order[2]] if median else 0.0)
        return cls(size, thickness, _percentiles(plans))

    def differences(self, ct: sitk.Image, body: Body | None, *, size: Sequence[int] | None = None) -> list[str]:
        """Tell, a sentence each, in what a scan is far from the training scans.

        Args:
            ct: 3D CT in HU.
            body: The patient in it; None where there is none.
            size: Voxels (i, j, k) of the part that is segmented, by the CT's own axes, where it is a part.
        """
        own = Geometry.of(ct)
        axes = axis_map(own.direction)
        grid = axes.apply_geometry(own)
        part = own.size if size is None else size
        looked_at = [part[old] * step for old, step in zip(axes.permutation, grid.spacing)]
        whole = [count * step for count, step in zip(grid.size, grid.spacing)]
        return [
            *self._of_size(looked_at, whole), *self._of_thickness(grid.spacing[2]), *self._of_values(ct, body),
        ]  # fmt: skip

    def _of_size(self, looked_at: Sequence[float], whole: Sequence[float]) -> list[str]:
        found = []
        for usual, part, all_of_it, axis, larger in zip(self.size_mm or (), looked_at, whole, _AXES, _TIMES_LARGER):
            if part > larger * usual or all_of_it * _TIMES_SMALLER < usual:
                length = part if part > usual else all_of_it
                found.append(
                    f"The scan is {length:.0f} mm {axis}; the model was trained on scans of about {usual:.0f} mm. "
                    "Check the result, most of all outside of the region that the model was made for."
                )
        return found

    def _of_thickness(self, thickness: float) -> list[str]:
        usual = self.thickness_mm
        if usual is None or thickness <= _USUAL_THICKNESS_MM + 0.01 or thickness <= _TIMES_THICKER * usual:
            return []
        return [
            f"The slices are {thickness:.1f} mm apart; the model was trained on slices of {usual:.1f} mm. It may "
            "overlook small lymph nodes."
        ]

    def _of_values(self, ct: sitk.Image, body: Body | None) -> list[str]:
        if self.hu is None:
            return []
        if body is None:
            return ["No patient was found in the scan: nothing is as dense as tissue. Check that its values are HU."]
        x, y, z = body.steps
        values = body.axes.apply(sitk.GetArrayViewFromImage(ct))[::z, ::y, ::x][body.mask]
        low, high = self.hu
        share = float(np.mean((values >= low) & (values <= high)))
        if share >= _LEAST_SHARE:
            return []
        return [
            f"Only {share:.0%} of the patient has the HU that lymph nodes had in the training scans ({low:.0f} to "
            f"{high:.0f}). Check that the scan's values are HU."
        ]


def _numbers(values: Any) -> tuple[float, float, float] | None:
    try:
        first, second, third = (float(value) for value in values)
    except (TypeError, ValueError):
        return None
    numbers = (first, second, third)
    return numbers if all(math.isfinite(value) and value > 0 for value in numbers) else None


def _percentiles(plans: Mapping[str, Any]) -> tuple[float, float] | None:
    try:
        known = plans["foreground_intensity_properties_per_channel"]["0"]
        low, high = float(known["percentile_00_5"]), float(known["percentile_99_5"])
    except (KeyError, TypeError, ValueError):
        return None
    return (low, high) if math.isfinite(low) and math.isfinite(high) and low < high else None
