"""Whether a CT, or a part of one, still is something at the voxel size to which a model resamples it."""

from __future__ import annotations

import math

import numpy as np

from lnsegfm.base.computer.memory import memory_bytes, total_memory_bytes
from lnsegfm.base.errors import UserError
from lnsegfm.base.wording import by, data_size
from lnsegfm.images.boxes import WHOLE, Region
from lnsegfm.images.crop import box_within, grid_of
from lnsegfm.images.geometry import Geometry
from lnsegfm.images.orientation import axis_map
from lnsegfm.models.model_facts import Counts, Lengths, ModelFacts

# Of each voxel at the model's spacing are kept at once at least: the CT, two logits and their sum, in single precision.
_VOXEL_BYTES = 16
# Where the computer does not tell its memory.
_USUAL_BYTES = 64 << 30
# Spacings carry rounding; what is a voxel thick is so.
_TOLERANCE = 1e-3
OTHER_REGION = "Enlarge the region, or segment the whole CT."


def size_at_model(grid: Geometry, facts: ModelFacts) -> tuple[Counts, Lengths]:
    """Return the size that a grid has at the model's spacing.

    Args:
        grid: Grid of the CT or a part of it.
        facts: The model.

    Returns:
        Voxels as nnU-Net rounds them, and the extent in mm, both by the axes (x, y, z) of the model's voxel order.

    Raises:
        UserError: The grid is sheared.
    """
    ordered = axis_map(grid.direction, facts.orientation).apply_geometry(grid)
    x, y, z = (size * length for size, length in zip(ordered.size, ordered.spacing))
    i, j, k = (round(extent / length) for extent, length in zip((x, y, z), facts.spacing))
    return (i, j, k), (x, y, z)


def check_at_model(
    grid: Geometry, facts: ModelFacts, what: str = "CT", todo: str = "", *, later: bool = False
) -> None:
    """Refuse what has no voxels, or more than memory holds, at the model's spacing; before any work.

    Args:
        grid: Grid of the CT or a part of it.
        facts: The model.
        what: What it is, for the message.
        todo: What the user can do, in place of what follows from the reason.
        later: The work may have to wait for other work, so that all the memory of the computer counts and not only what
            is free now.

    Raises:
        UserError: It is thinner than one voxel of the model, or needs more memory than there is; a sheared grid.
    """
    size, extent = size_at_model(grid, facts)
    here = f"{by(grid.size)} voxels of {by(grid.spacing)} mm"
    for axis, (length, least) in enumerate(zip(extent, facts.spacing)):
        if length < least * (1 - _TOLERANCE):
            part = "slices" if facts.orientation[axis] in "SI" else "voxels"
            raise UserError(
                f"The {what} is too thin for the model.",
                f"It has {here}: {by([length])} mm is too thin for a model with {part} of {by([least])} mm.",
                todo or "Choose the whole CT, or correct the voxel size in its header where that is wrong.",
            )
    needed, present = math.prod(size) * _VOXEL_BYTES, total_memory_bytes() if later else memory_bytes()
    if needed > (present or _USUAL_BYTES):
        amount = data_size(present or _USUAL_BYTES, memory=True)
        memory = f"at most {amount} is allowed"
        if present:
            memory = f"this computer has {amount}" if later else f"{amount} is free"
        raise UserError(
            f"The {what} is too large at the voxel size of the model.",
            f"{here} become {by(size)} voxels of {by(facts.spacing)} mm, which need at least "
            f"{data_size(needed, memory=True)} of memory; {memory}.",
            todo or "Correct the voxel size in the header of the CT where that is wrong; or choose a smaller region or "
            "a computer with more memory.",
        )


def check_region(grid: Geometry, region: Region, facts: ModelFacts) -> None:
    """Refuse a region as `check_at_model` does, as far as a grid alone tells; the body's box needs the voxels.

    Args:
        grid: Grid of the CT.
        region: See `lnsegfm.segmentation.segment_options.SegmentOptions`.
        facts: The model.

    Raises:
        UserError: See `check_at_model`; or the box lies outside of the CT.
    """
    if region == WHOLE:
        check_at_model(grid, facts)
    elif not isinstance(region, str):
        check_at_model(grid_of(box_within(region, grid.size), grid), facts, "region", OTHER_REGION)


def check_voxels(
    grid: Geometry, array: np.ndarray, facts: ModelFacts, what: str = "CT", todo: str = ""
) -> None:
    """Refuse what `check_at_model` refuses, and also where it is true of the part that holds other values than 0 only.

    nnU-Net crops a CT to that part before all else.

    Args:
        grid: Grid of the CT or a part of it.
        array: Its voxels, shape (z, y, x).
        facts: The model.
        what: What it is, for the message.
        todo: See `check_at_model`.

    Raises:
        UserError: See `check_at_model`; or all voxels are 0.
    """
    check_at_model(grid, facts, what, todo)
    # Nearly every CT has other values at all six faces, which are looked at first.
    if all(array.take(end, axis).any() for axis in range(3) for end in (0, -1)):
        return
    occupied = [np.flatnonzero(array.any(axis=tuple({0, 1, 2} - {axis}))) for axis in (2, 1, 0)]
    if not len(occupied[0]):
        raise UserError(
            f"The {what} is empty.", "All its voxels have the value 0.", todo or "Choose a volume that shows a CT."
        )
    (i0, i1), (j0, j1), (k0, k1) = ((int(each[0]), int(each[-1]) + 1) for each in occupied)
    part = grid_of((i0, i1, j0, j1, k0, k1), grid)
    check_at_model(part, facts, f"part of the {what} that holds other values than 0", todo)
