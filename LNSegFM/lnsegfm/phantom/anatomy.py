"""What an anatomy hands over: tissues to paint in order, and where lymph nodes may lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from lnsegfm.phantom.domains import Domain, Range
from lnsegfm.phantom.shapes import Curve, Ellipsoid, Harmonic, Shape, Tube


@dataclass(frozen=True)
class Tissue:
    """One body and its value.

    Args:
        shape: The body.
        hu: Its value.
        inset: Only what lies deeper than this under the surface, mm.
        yields: A lymph node may push it aside. Vessels, bone and airways do not yield.
    """

    shape: Shape
    hu: float
    inset: float = 0.0
    yields: bool = False


@dataclass(frozen=True)
class Station:
    """A place where lymph nodes lie: a cloud around ``centre`` with a standard deviation ``spread``, mm."""

    centre: tuple[float, float, float]
    spread: tuple[float, float, float]


@dataclass
class Anatomy:
    """A patient without lymph nodes.

    Args:
        body: The outline of the patient.
        fat_hu: What fills it.
        tissues: In the order of painting; later ones cover earlier ones.
        stations: Where lymph nodes lie; the first one is near the middle of the volume.
        outside: Bodies in the air around the patient.
    """

    body: Tube
    fat_hu: float
    tissues: list[Tissue] = field(default_factory=list)
    stations: list[Station] = field(default_factory=list)
    outside: list[Tissue] = field(default_factory=list)

    def add(self, shape: Shape, hu: float, *, inset: float = 0.0, yields: bool = False) -> None:
        """Append a tissue."""
        self.tissues.append(Tissue(shape, hu, inset, yields))


class Draw:
    """The random choices of one anatomy."""

    def __init__(self, rng: np.random.Generator, domain: Domain) -> None:
        self.rng = rng
        self.domain = domain

    def between(self, limits: Range) -> float:
        """A uniform value."""
        return float(self.rng.uniform(*limits))

    def near(self, value: float, sd: float) -> float:
        """A normal value, cut at two standard deviations."""
        return float(value + sd * np.clip(self.rng.standard_normal(), -2.0, 2.0))

    def curve(self, z: Sequence[float], values: Sequence[float], sd: float = 0.0) -> Curve:
        """A curve through the values, moved as a whole by a normal offset and at each knot by half as much."""
        shift = self.near(0.0, sd)
        return Curve(tuple(z), tuple(value + shift + self.near(0.0, sd / 2) for value in values))

    def waves(self, amplitude: float) -> tuple[Harmonic, ...]:
        """The waves of an outline that is no perfect ellipse."""
        return tuple(
            Harmonic(order, self.near(0.0, amplitude / order), self.between((0.0, 2 * np.pi)), self.near(0.0, 0.01))
            for order in (2, 3, 4)
        )

    def tube(
        self,
        z: Sequence[float],
        x: Sequence[float],
        y: Sequence[float],
        rx: Sequence[float],
        ry: Sequence[float],
        *,
        angle: float = 0.0,
        z_range: Range = (-np.inf, np.inf),
        sd: float = 1.2,
        size_sd: float = 0.1,
        waves: float = 0.0,
    ) -> Tube:
        """A tube through the knots: each place by ``sd`` mm off, its size off by the share ``size_sd``."""
        growth = self.near(1.0, size_sd)
        radius_x, radius_y = (Curve(tuple(z), tuple(value * growth for value in values)) for values in (rx, ry))
        return Tube(
            self.curve(z, x, sd),
            self.curve(z, y, sd),
            radius_x,
            radius_y,
            angle=angle,
            z_range=z_range,
            harmonics=self.waves(waves) if waves else (),
        )


def outline(draw: Draw, body: Tube, couch_top: float) -> Anatomy:
    """Return an anatomy of skin and fat, in some cases with the scanner's couch below it.

    Args:
        draw: The random choices.
        body: The patient's outline.
        couch_top: Where the couch would begin, mm behind the origin.
    """
    anatomy = Anatomy(body, draw.between(draw.domain.fat_hu))
    anatomy.add(body, draw.near(25.0, 8.0), yields=True)
    anatomy.add(body, anatomy.fat_hu, inset=2.5, yields=True)
    top = draw.near(couch_top, 1.5)
    if draw.rng.random() < draw.domain.couch:
        board = Ellipsoid((0.0, top + 120.0, 0.0), (400.0, 120.0, 1e4))
        anatomy.outside = [Tissue(board, -150.0), Tissue(board, -920.0, inset=3.0)]
    return anatomy


def fat_strands(draw: Draw, anatomy: Anatomy, count: int, reach: tuple[float, float], blood: float) -> None:
    """Add thin vessels that run through the fat anywhere; they end and begin like small lymph nodes.

    Args:
        draw: The random choices.
        anatomy: Is added to.
        count: How many.
        reach: Greatest distance from the origin along x and y, mm.
        blood: Their value, HU.
    """
    for _ in range(count):
        middle, length = draw.between((-55.0, 55.0)), draw.between((8.0, 30.0))
        x, y = draw.between((-reach[0], reach[0])), draw.between((-reach[1], reach[1]))
        knots = (middle - length / 2, middle + length / 2)
        ends = [(place, place + draw.near(0.0, 0.4) * length) for place in (x, y)]
        radius = draw.between((0.9, 2.2))
        anatomy.tissues.append(
            Tissue(
                Tube(
                    Curve(knots, ends[0]),
                    Curve(knots, ends[1]),
                    Curve((0.0,), (radius,)),
                    Curve((0.0,), (radius,)),
                    z_range=knots,
                ),
                draw.near(blood, 8.0),
                yields=True,
            )
        )
