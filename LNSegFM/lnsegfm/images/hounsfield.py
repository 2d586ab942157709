"""Whether the values of a CT are HU, and what they look like where they are not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from lnsegfm.base.errors import UserError

_SAMPLES = 1 << 20
# Below this is air or lung; fat, the next, is around -100.
_AIR_BELOW = -500.0
# Where air and lung lie. The lowest of it is air proper, be it only in the trachea; noise and artefacts go below.
_AIR, _LOWEST_AIR = (-1100.0, _AIR_BELOW), (-1300.0, -800.0)
# Fat, muscle and vessels with contrast; most of any patient.
_TISSUE = (-200.0, 250.0)
_DENSE = 600.0
# Metal reaches 30,000 on scanners with an extended scale; fills of -32,768 exist.
_FARTHEST = 33_000.0
# Neighbouring slices of a patient differ by some ten HU on average, those at the end of the chin or the arms by 200.
_JUDGED_PLANE = 400
_JUMP, _LONE_SLICE, _NEIGHBOURS_AGREE = 500.0, 200.0, 60.0
# Calibrated scanners have air within 20 HU; what is further off is not just noise.
_AIR_HU, _AIR_OFF, _AIR_SPREAD, _ANY_AIR = -1000.0, 75.0, 60.0, (-1300.0, -700.0)
_NEAR, _RIM_IS_AIR = 50.0, 150.0
# Of a CT that is cropped to the neck, the airways are a few thousandths.
_LEAST_AIR, _LEAST_TISSUE, _MOST_DENSE = 0.001, 0.05, 0.35


@dataclass(frozen=True)
class _Disguise:
    """A known way in which values differ from HU.

    Args:
        name: As in "looks like {name}".
        undo: Makes HU of the values.
    """

    name: str
    undo: Callable[[np.ndarray], np.ndarray]


_DISGUISES = (
    _Disguise("HU + 1024", lambda values: values - 1024),
    _Disguise("HU + 1000", lambda values: values - 1000),
    _Disguise("HU - 1024", lambda values: values + 1024),
    _Disguise("HU with the sign inverted", lambda values: -values),
    _Disguise("HU x 10", lambda values: values / 10),
    _Disguise("HU / 10", lambda values: values * 10),
    _Disguise("HU / 1000", lambda values: values * 1000),
    _Disguise("HU + 32768", lambda values: values - 32768),
    _Disguise("HU x 2", lambda values: values / 2),
)


class NotHounsfield(UserError):
    """The values of a CT do not look like HU; the user can confirm that they are."""

    kind = "not-hu"


def check_hu(image: sitk.Image, *, assume_hu: bool, notes: list[str]) -> None:
    """Check that a CT's values look like HU: air near -1000, soft tissue around 0.

    Args:
        image: 3D CT of finite values.
        assume_hu: The user says that they are HU; then it is only noted that they do not look like it.
        notes: Gets the text in that case.

    Raises:
        NotHounsfield: They do not look like it.
    """
    seen = what_values_are(image) or _odd_slice(image)
    if not seen:
        notes.extend(_shifted_air(image))
        return
    if assume_hu:
        text = f"The CT's values were taken as HU, as was asked for, although they do not look like it: {seen}"
        if text not in notes:
            notes.append(text)
        return
    raise NotHounsfield(
        "The CT's values do not look like HU.", seen,
        "Export the CT in HU, or convert its values. If they are HU all the same, say so: option --assume-hu, or the "
        "question in the panel.",
    )


def what_values_are(image: sitk.Image) -> str:
    """Return what speaks against HU, with what was seen; empty where the values look like HU."""
    values = _sample(image)
    # Of all voxels: a single one may be far off.
    lowest, highest = (float(end) for end in _ends(image))
    span = f"they range from {lowest:g} to {highest:g}"
    if _looks_like_hu(values):
        is_far = max(-lowest, highest) > _FARTHEST
        return f"{span[0].upper()}{span[1:]}; no CT has values beyond {_FARTHEST:g}." if is_far else ""
    if highest - lowest <= 20:
        return f"{span[0].upper()}{span[1:]}, as after a normalisation."
    if lowest >= 0 and highest <= 255:
        return f"{span[0].upper()}{span[1:]}, as in a picture of 8 bits; there is no air at -1000."
    rim = _rim(image)
    fitting = [each for each in _DISGUISES if _looks_like_hu(each.undo(values))]
    if fitting:
        # The air of the rim says which; of two that are near, the more common one, which stands first.
        off = {each.name: abs(float(each.undo(np.array(rim))) + 1000) // _NEAR for each in fitting}
        best = min(off, key=lambda name: off[name])
        if off[best] * _NEAR > _RIM_IS_AIR:
            return f"They look like {' or '.join(off)}: {span}."
        return f"They look like {best}: {span}, and the rim of the slices, mostly air, has {rim:g}."
    if _share(values, (-np.inf, _TISSUE[0])) < _LEAST_AIR:
        return f"Nothing is below {_TISSUE[0]:g}, so that there is no air: {span}."
    return f"Air near -1000 and soft tissue around 0 were not found: {span}."


def _odd_slice(image: sitk.Image) -> str:
    """Tell of a slice whose values are of another scale than those of its neighbours; empty where there is none."""
    array = sitk.GetArrayViewFromImage(image)
    if array[0].size < _JUDGED_PLANE:
        return ""
    step = max(1, int((array[0].size / _JUDGED_PLANE) ** 0.5 / 2))
    means = np.array([float(plane[::step, ::step].mean()) for plane in array])
    # What was resampled may begin and end with slices of the fill value.
    blank = np.array([plane.min() == plane.max() for plane in array])
    steps = np.where(blank[1:] | blank[:-1], 0, np.abs(np.diff(means)))
    if len(means) > 2:
        alone = np.abs(means[1:-1] - (means[:-2] + means[2:]) / 2)
        alone[np.abs(means[2:] - means[:-2]) > _NEIGHBOURS_AGREE] = 0
        if alone.max() > _LONE_SLICE:
            number = int(alone.argmax()) + 1
            return f"Slice {number} (from 0) differs from both its neighbours by {alone.max():.0f} HU on average."
    if steps.max() > _JUMP:
        number = int(steps.argmax())
        return f"Between the slices {number} and {number + 1} (from 0) the mean jumps by {steps.max():.0f} HU."
    return ""


def _shifted_air(image: sitk.Image) -> list[str]:
    """Say where the air around the patient is not at -1000 HU."""
    rim = _rim_values(image)
    low, middle, high = (float(value) for value in np.percentile(rim, (25, 50, 75)))
    is_air = _ANY_AIR[0] < middle < _ANY_AIR[1] and high - low < _AIR_SPREAD
    if not is_air or abs(middle - _AIR_HU) <= _AIR_OFF:
        return []
    return [f"The air around the patient has {middle:.0f} HU in place of -1000; the CT's scale may be wrong."]


def _ends(image: sitk.Image) -> tuple[float, float]:
    array = sitk.GetArrayViewFromImage(image)
    return float(array.min()), float(array.max())


def _looks_like_hu(values: np.ndarray) -> bool:
    low = values[values < _AIR_BELOW]
    # The corners outside of the field of view all have one value, which may be anything below air.
    if len(low) and low.min() < _AIR[0]:
        low = low[low > low.min()]
    if len(low) < _LEAST_AIR * len(values):
        return False
    lowest, middle = np.percentile(low, (5, 50))
    return bool(
        _LOWEST_AIR[0] <= lowest <= _LOWEST_AIR[1]
        and _AIR[0] <= middle <= _AIR[1]
        and _share(values, _TISSUE) >= _LEAST_TISSUE
        and _share(values, (_DENSE, np.inf)) <= _MOST_DENSE
    )


def _share(values: np.ndarray, limits: Sequence[float]) -> float:
    return float(np.mean((values >= limits[0]) & (values <= limits[1]))) if len(values) else 0.0


def _sample(image: sitk.Image) -> np.ndarray:
    """Return about a million values, evenly taken, as float64."""
    array = sitk.GetArrayViewFromImage(image)
    step = max(1, round((array.size / _SAMPLES) ** (1 / 3)))
    return array[::step, ::step, ::step].astype(float).ravel()


def _rim(image: sitk.Image) -> float:
    """Return the median of the outermost rows and columns of all slices."""
    return float(np.median(_rim_values(image)))


def _rim_values(image: sitk.Image) -> np.ndarray:
    array = sitk.GetArrayViewFromImage(image)
    edges = [array[:, 0, :], array[:, -1, :], array[:, :, 0], array[:, :, -1]]
    return np.concatenate([edge.ravel() for edge in edges])
