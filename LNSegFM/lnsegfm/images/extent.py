"""Whether a grid is as large as something that a CT scanner images."""

from __future__ import annotations

from collections.abc import Sequence

from lnsegfm.base.errors import UserError
from lnsegfm.base.wording import by

# The longest scanners image some 2 m, and no table moves further.
_LONGEST_MM = 3000.0
# A header in metres, or without a unit that fits, makes a patient of less.
_SHORTEST_MM = 1.0


def check_extent(size: Sequence[int], spacing: Sequence[float]) -> None:
    """Refuse a volume that no patient fits into, whose header therefore has a wrong voxel size.

    Args:
        size: Voxels by image axis.
        spacing: Their size in mm, by image axis.

    Raises:
        UserError: It is longer than 3 m along an axis, or shorter than 1 mm along all of them.
    """
    extent = [count * length for count, length in zip(size, spacing)]
    if max(extent) > _LONGEST_MM:
        why = f"no scanner images more than {_LONGEST_MM:g} mm"
    elif max(extent) < _SHORTEST_MM:
        why = "no patient is that small"
    else:
        return
    raise UserError(
        "The image's voxel size cannot be right.",
        f"{by(size)} voxels of {by(spacing)} mm would be {by(extent)} mm; {why}.",
        "Correct the voxel size (spacing) in its header, or export the CT again from its DICOM files.",
    )
