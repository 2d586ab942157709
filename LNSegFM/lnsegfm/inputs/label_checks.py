"""Labels that cannot be lymph nodes: inverted masks, and labels in air, fat or bone."""

from __future__ import annotations

import numpy as np

from lnsegfm.base.errors import UserError

# Bulky disease takes up some percent of a CT; half of it is not even reached by a whole body in a usual field of view.
MOST_OF_THE_CT = 0.5
# No lymph node reaches the outer faces of a CT but at its first and last slice, where it covers a small part.
MOST_OF_THE_FACES = 0.5
# Of fewer voxels partial volume and noise say too much.
FEWEST_VOXELS = 8
# Lung and the air around the patient are below -500 HU, and fat is above -150. Three of four voxels must be below: a
# label that was drawn generously around a lymph node beside the lung has its larger part in tissue.
AIR_BELOW_HU, AIR_QUANTILE = -300.0, 0.75
# Fat is at -50 to -150 HU. A lymph node with a fatty hilum keeps a cortex of 20 HU or more, and noise lifts some voxels
# of fat: nine of ten must be below.
FAT_BELOW_HU, FAT_QUANTILE = -30.0, 0.9
# Lymph nodes take up contrast agent to 200 HU at most, and calcifications fill a part of them. Three of four voxels
# above 350 HU are bone, a contrast-filled vessel or metal; lymph nodes calcified as a whole need the user's word.
BONE_ABOVE_HU, BONE_QUANTILE = 350.0, 0.25
# Not refused, but told: fatty hila, calcifications and generous contours may account for this much.
TOLD_SHARE = 0.3
# How much more soft tissue labels must lie in when they are mirrored or transposed for that to be said.
HINT_GAIN, SURE_GAIN = 0.3, 0.4


class UnusualLabels(UserError):
    """The labels do not look like lymph nodes; the user can confirm that they are."""

    kind = "unusual-labels"


def check_amount(mask: np.ndarray) -> None:
    """Refuse a mask that fills most of the CT or of its outer faces, as an inverted one does.

    Args:
        mask: Not 0 in lymph nodes, shape (z, y, x) of the CT.

    Raises:
        UnusualLabels: It does.
    """
    share = float(np.count_nonzero(mask)) / mask.size
    if share > MOST_OF_THE_CT:
        raise _refusal(f"{_percent(share)} of the CT would be lymph node: {_EXCHANGED}")
    faces = [np.take(mask, end, axis=axis) for axis in range(3) for end in (0, -1)]
    outer = sum(int(np.count_nonzero(face)) for face in faces) / sum(face.size for face in faces)
    if outer > MOST_OF_THE_FACES:
        raise _refusal(f"{_percent(outer)} of the CT's outer faces would be lymph node: {_EXCHANGED}")


def check_tissue(ct: np.ndarray, mask: np.ndarray, *, refuse: bool = True) -> str:
    """Refuse labels most of whose voxels are air, fat or bone; what is merely rare is told.

    Args:
        ct: HU, shape (z, y, x).
        mask: Not 0 in lymph nodes, of the same shape.
        refuse: Refuse; otherwise the same is told.

    Returns:
        A sentence for the user, empty where there is nothing to say.

    Raises:
        UnusualLabels: They are, and ``refuse`` is set.
    """
    hu = ct[mask != 0]
    share = 1 - _soft(hu) if hu.size else 0.0
    found = _tissue(hu) if hu.size >= FEWEST_VOXELS else ""
    if not found and share <= TOLD_SHARE:
        return ""
    hint, gain = _hint(ct, mask, 1 - share)
    said = (
        f"{_percent(share)} of the {hu.size} labelled voxels are air, fat or bone; their median is {np.median(hu):.0f} "
        f"HU, their mean {hu.mean():.0f} HU.{hint}"
    )
    if found and refuse:
        raise _refusal(f"They lie in {found}: {said} They may lie in the wrong place or belong to another CT.")
    if hu.size >= FEWEST_VOXELS and share > 1 / 2 and gain >= SURE_GAIN and refuse:
        raise _refusal(f"They seem to be mirrored or transposed: {said}")
    return f"{said} Check that the labels lie on lymph nodes."


_EXCHANGED = "background and foreground may be exchanged."


def _tissue(hu: np.ndarray) -> str:
    """Tell what nearly all labelled voxels are, where that is no lymph node."""
    if np.quantile(hu, AIR_QUANTILE) < AIR_BELOW_HU:
        return "air or lung"
    if np.quantile(hu, FAT_QUANTILE) < FAT_BELOW_HU:
        return "fat"
    return "bone, contrast agent or metal" if np.quantile(hu, BONE_QUANTILE) > BONE_ABOVE_HU else ""


def _soft(hu: np.ndarray) -> float:
    return float(np.mean((hu >= FAT_BELOW_HU) & (hu <= BONE_ABOVE_HU)))


def _hint(ct: np.ndarray, mask: np.ndarray, share: float) -> tuple[str, float]:
    """Say how the voxels of the mask would lie in soft tissue, if a flip or an exchange of axes brings them there.

    Returns:
        The sentence, and by how much the share of soft tissue would grow.
    """
    z, y, x = np.nonzero(mask)
    slices, rows, columns = ct.shape
    changed = {
        "mirrored left to right": (z, y, columns - 1 - x), "mirrored front to back": (z, rows - 1 - y, x),
        "in the reverse order of slices": (slices - 1 - z, y, x),
        "turned by half in the slice": (z, rows - 1 - y, columns - 1 - x),
    }  # fmt: skip
    if rows == columns:
        changed["with x and y exchanged"] = (z, x, y)
    found = {name: ct[place] for name, place in changed.items()}
    name = max(found, key=lambda each: _soft(found[each]))
    gain = _soft(found[name]) - share
    if gain < HINT_GAIN:
        return "", gain
    return f" The same voxels {name} would have a median of {np.median(found[name]):.0f} HU.", gain


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _refusal(why: str) -> UnusualLabels:
    return UnusualLabels(
        "The labels do not look like lymph nodes.", why,
        "Look at them over the CT. If they are right, add --unusual-labels (in Python: InputOptions(unusual=True)).",
    )
