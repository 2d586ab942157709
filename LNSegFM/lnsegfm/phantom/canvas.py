"""The voxel grid in anatomy coordinates, and painting of analytic bodies on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lnsegfm.phantom.shapes import Array, Ellipsoid, Shape

_EDGE_WIDTHS = 4.0  # beyond this many edge widths a body's weight is below 0.04 %


@dataclass(frozen=True, eq=False)
class Grid:
    """The places of voxel centres, in anatomy coordinates.

    Args:
        size: Voxels along the image's own (x, y, z) index axes.
        steps: 3x3 matrix; column i is the physical way of one voxel along index axis i, mm (LPS).
        scale: Physical mm for one mm of the anatomy; a large patient has more than 1.
    """

    size: tuple[int, int, int]
    steps: Array
    scale: float = 1.0

    def window(self, shape: Shape, margin: float) -> tuple[slice, slice, slice] | None:
        """Return the (k, j, i) index box that holds ``shape`` with ``margin`` mm around it, None when none does."""
        # A finite stand-in for "no end": infinity times a zero of the matrix would be NaN.
        far = float(np.abs(self.steps).sum(axis=0) @ np.asarray(self.size)) / self.scale + margin
        lower, upper = (np.clip(corner, -far, far) for corner in shape.bounds())
        middle, half = (lower + upper) / 2, (upper - lower) / 2 + margin
        inverse = np.linalg.inv(self.steps) * self.scale
        centre = inverse @ middle + (np.asarray(self.size) - 1) / 2
        reach = np.abs(inverse) @ half
        first = np.maximum(np.floor(centre - reach), 0).astype(int)
        last = np.minimum(np.ceil(centre + reach) + 1, self.size).astype(int)
        if (last <= first).any():
            return None
        i, j, k = (slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
        return k, j, i

    def points(self, window: tuple[slice, slice, slice]) -> tuple[Array, Array, Array]:
        """Return x, y and z of the voxel centres of an index box, each broadcastable to the box's (k, j, i) shape.

        An index axis that does not move a coordinate keeps length 1 there: on upright grids most formulas run on
        lines and planes instead of the whole box.
        """
        coordinates = []
        for row in range(3):
            total: Array = np.zeros((1, 1, 1))
            for axis, part in enumerate(reversed(window)):
                step = self.steps[row, axis] / self.scale
                if step != 0.0:
                    line = (np.arange(part.start, part.stop) - (self.size[axis] - 1) / 2) * step
                    shape = [1, 1, 1]
                    shape[2 - axis] = line.size
                    total = total + line.reshape(shape)
            coordinates.append(total)
        return coordinates[0], coordinates[1], coordinates[2]


@dataclass(eq=False)
class Canvas:
    """The CT that is being painted, in HU.

    Args:
        grid: Where the voxels are.
        edge: How far the scanner blurs an edge, mm.
    """

    grid: Grid
    edge: float
    hu: NDArray[np.float32] = field(init=False)
    labels: NDArray[np.uint8] = field(init=False)
    mask: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        shape = self.grid.size[::-1]
        self.hu = np.full(shape, -1000.0, np.float32)
        self.labels = np.zeros(shape, np.uint8)

    def weight(self, shape: Shape, inset: float = 0.0) -> tuple[tuple[slice, slice, slice], NDArray[np.float32]] | None:
        """Return the index box of ``shape`` and its share (0 to 1) of each voxel there, None outside the volume."""
        window = self.grid.window(shape, _EDGE_WIDTHS * self.edge - min(inset, 0.0))
        if window is None:
            return None
        distance = shape.distance(*self.grid.points(window)) + inset
        with np.errstate(over="ignore"):  # exp of a far distance is infinite, and its weight 0
            share = 1.0 / (1.0 + np.exp((distance / (self.edge * 0.5)).astype(np.float32)))
        full = tuple(part.stop - part.start for part in window)
        return window, np.broadcast_to(share, full).astype(np.float32, copy=False)

    def paint(self, shape: Shape, hu: float | NDArray[np.float32], *, inset: float = 0.0) -> None:
        """Blend ``shape`` over the CT; inside ``mask`` alone when one is set.

        Args:
            shape: What is painted.
            hu: One value, or a whole volume [k, j, i] from which the values are taken.
            inset: Paint only what lies deeper than this under the surface, mm.
        """
        weighted = self.weight(shape, inset)
        if weighted is None:
            return
        window, share = weighted
        if self.mask is not None:
            share = share * self.mask[window]
        value = hu[window] if isinstance(hu, np.ndarray) else np.float32(hu)
        self.hu[window] += share * (value - self.hu[window])

    def label(self, nodes: Sequence[Ellipsoid]) -> None:
        """Set label 1 at the voxels whose centres lie in one of ``nodes``."""
        for node in nodes:
            window = self.grid.window(node, 0.0)
            if window is not None:
                self.labels[window][
                    np.broadcast_to(node.distance(*self.grid.points(window)) <= 0.0, self.labels[window].shape)
                ] = 1
