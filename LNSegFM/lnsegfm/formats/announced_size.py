"""Whether an image can be as large as its header announces, before anything is allocated for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from lnsegfm.base.computer.memory import memory_bytes
from lnsegfm.base.errors import UserError
from lnsegfm.base.wording import by, data_size, printable

# Deflate, of gzip and zlib, makes of a byte 1032 at most.
_MOST_INFLATED = 1032
_SPARE = 1 << 16
# Where the system does not tell its memory.
_USUAL_MEMORY = 32 << 30


def check_fits(path: Path, shape: Sequence[int], voxel_bytes: float) -> None:
    """Refuse an image that the computer's memory cannot hold.

    Args:
        path: The file, for the message.
        shape: Voxels by axis.
        voxel_bytes: Bytes of a voxel.

    Raises:
        UserError: It cannot, or the shape is none.
    """
    if not shape or min(shape) < 1:
        raise UserError(
            f"{printable(path.name)} cannot be read as an image.", f"Its header announces {by(shape)} voxels.",
            "Export the image again.",
        )
    needed, free = math.prod(shape) * voxel_bytes, memory_bytes() or _USUAL_MEMORY
    if needed > free:
        raise UserError(
            f"{printable(path.name)} is too large.",
            f"Its header announces {by(shape)} voxels, {data_size(needed, memory=True)}; "
            f"{data_size(free, memory=True)} of memory are free.",
            "Close other programs, crop the image, or use a computer with more memory.",
        )


def can_inflate(packed: int, expected: int) -> bool:
    """Tell whether that many bytes of deflated data can hold that many bytes."""
    return expected <= packed * _MOST_INFLATED + _SPARE
