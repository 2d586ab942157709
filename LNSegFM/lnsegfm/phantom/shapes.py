"""Analytic bodies in anatomy coordinates: x to the left, y to the back, z to the head, in mm, the origin mid-volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Box = tuple[Array, Array]

_TINY = 1e-6


class Shape(Protocol):
    """A body that knows how far a point lies from its surface."""

    def distance(self, x: Array, y: Array, z: Array) -> Array:
        """Return the approximate signed distance in mm (negative inside) at points of broadcastable coordinates."""
        ...

    def bounds(self) -> Box:
        """Return the lower and the upper corner (x, y, z) of a box around the body; infinite where it has no end."""
        ...


def _ellipse_distance(terms: Sequence[tuple[Array, Array | float]], swell: Array | float = 1.0) -> Array:
    """First-order distance to an ellipse or ellipsoid, from (coordinate, semi-axis) pairs; its sign is exact."""
    level = np.sqrt(sum(np.square(c / r) for c, r in terms)) / swell + _TINY
    smallest = np.minimum.reduce([np.asarray(r) for _, r in terms])
    slope = np.sqrt(sum(np.square(c / (r * r)) for c, r in terms)) + _TINY / smallest
    distance: Array = level * (level - 1.0) / slope * swell
    return distance


@dataclass(frozen=True)
class Curve:
    """A value along z, linear between knots and constant beyond them.

    Args:
        z: Rising knots in mm.
        values: The value at each knot.
    """

    z: tuple[float, ...]
    values: tuple[float, ...]

    def at(self, z: Array) -> Array:
        """Return the value at each z."""
        if len(self.values) == 1:
            return np.full((1,) * np.ndim(z), self.values[0])
        value: Array = np.interp(z, self.z, self.values)
        return value


@dataclass(frozen=True)
class Harmonic:
    """One wave of a tube's outline: ``1 + amplitude * cos(order * angle + phase + twist * z)`` times the radius."""

    order: int
    amplitude: float
    phase: float
    twist: float


@dataclass(frozen=True)
class Tube:
    """A tube along z with an elliptical cross-section that may move and change its size with z.

    Args:
        x: Centre of the cross-section, mm.
        y: Centre of the cross-section, mm.
        rx: Semi-axis of the cross-section, mm, along x before the turn by ``angle``.
        ry: The other semi-axis, mm.
        angle: Turn of the cross-section about z, radians.
        z_range: Where the tube begins and ends, mm.
        harmonics: Waves of the outline.
    """

    x: Curve
    y: Curve
    rx: Curve
    ry: Curve
    angle: float = 0.0
    z_range: tuple[float, float] = (-np.inf, np.inf)
    harmonics: tuple[Harmonic, ...] = ()

    def distance(self, x: Array, y: Array, z: Array) -> Array:
        """See `Shape.distance`."""
        dx, dy = x - self.x.at(z), y - self.y.at(z)
        if self.angle:
            cosine, sine = np.cos(self.angle), np.sin(self.angle)
            dx, dy = cosine * dx + sine * dy, cosine * dy - sine * dx
        swell: Array | float = 1.0
        if self.harmonics:
            theta = np.arctan2(dy, dx)
            for wave in self.harmonics:
                swell = swell + wave.amplitude * np.cos(wave.order * theta + wave.phase + wave.twist * z)
        distance = _ellipse_distance(((dx, self.rx.at(z)), (dy, self.ry.at(z))), swell)
        below, above = self.z_range
        if np.isfinite(below) or np.isfinite(above):
            distance = np.maximum(distance, np.maximum(below - z, z - above))
        return distance

    def bounds(self) -> Box:
        """See `Shape.bounds`."""
        reach = max(*self.rx.values, *self.ry.values) * (1.0 + sum(abs(wave.amplitude) for wave in self.harmonics))
        lower = np.array([min(self.x.values) - reach, min(self.y.values) - reach, self.z_range[0]])
        upper = np.array([max(self.x.values) + reach, max(self.y.values) + reach, self.z_range[1]])
        return lower, upper


@dataclass(frozen=True, eq=False)
class Ellipsoid:
    """An ellipsoid in any orientation.

    Args:
        centre: (x, y, z), mm.
        radii: Semi-axes, mm.
        axes: 3x3 matrix, column i is the unit direction of semi-axis i. Default: along x, y and z.
    """

    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    axes: Array | None = None

    def distance(self, x: Array, y: Array, z: Array) -> Array:
        """See `Shape.distance`."""
        offset = (x - self.centre[0], y - self.centre[1], z - self.centre[2])
        if self.axes is None:
            local: Sequence[Array] = offset
        else:
            local = [sum(self.axes[row, i] * offset[row] for row in range(3)) for i in range(3)]
        return _ellipse_distance(tuple(zip(local, self.radii, strict=True)))

    def bounds(self) -> Box:
        """See `Shape.bounds`."""
        centre, radii = np.asarray(self.centre), np.asarray(self.radii)
        reach = radii if self.axes is None else np.sqrt(np.square(self.axes * radii).sum(axis=1))
        return centre - reach, centre + reach

    def resized(self, factor: float) -> Ellipsoid:
        """Return the ellipsoid with every semi-axis times ``factor``, about the same centre."""
        first, second, third = self.radii
        return Ellipsoid(self.centre, (first * factor, second * factor, third * factor), self.axes)


@dataclass(frozen=True)
class Arc:
    """The half ``v >= 0`` of an elliptical ring, as of a jaw, a rib or the arch of the aorta.

    Args:
        centre: (x, y, z) of the ring, mm.
        u: Unit direction in the ring's plane.
        v: Unit direction in the ring's plane, at a right angle to ``u``; the ring's open end looks along ``-v``.
        radius_u: Semi-axis of the ring's centreline along ``u``, mm.
        radius_v: The same along ``v``, mm.
        thickness: Half the band's width within the ring's plane, mm.
        height: Half the band's width across the ring's plane, mm.
    """

    centre: tuple[float, float, float]
    u: tuple[float, float, float]
    v: tuple[float, float, float]
    radius_u: float
    radius_v: float
    thickness: float
    height: float

    def distance(self, x: Array, y: Array, z: Array) -> Array:
        """See `Shape.distance`."""
        offset = (x - self.centre[0], y - self.centre[1], z - self.centre[2])
        normal = np.cross(self.u, self.v)
        along = [offset[0] * axis[0] + offset[1] * axis[1] + offset[2] * axis[2] for axis in (self.u, self.v, normal)]
        ring = _ellipse_distance(((along[0], self.radius_u), (along[1], self.radius_v)))
        band = _ellipse_distance(((ring, self.thickness), (along[2], self.height)))
        return np.maximum(band, -along[1])

    def bounds(self) -> Box:
        """See `Shape.bounds`."""
        length = self.radius_v + self.thickness
        centre = np.asarray(self.centre) + np.asarray(self.v) * length / 2
        reach = (
            np.abs(self.u) * (self.radius_u + self.thickness)
            + np.abs(self.v) * length / 2
            + np.abs(np.cross(self.u, self.v)) * self.height
        )
        return centre - reach, centre + reach


def straight(x: float, y: float, rx: float, ry: float, z_range: tuple[float, float], angle: float = 0.0) -> Tube:
    """Return a tube that keeps its place and size."""
    place_x, place_y, radius_x, radius_y = (Curve((0.0,), (value,)) for value in (x, y, rx, ry))
    return Tube(place_x, place_y, radius_x, radius_y, angle=angle, z_range=z_range)
