"""The chest around the windpipe: lungs, heart, great vessels and the fat between them."""

from __future__ import annotations

import numpy as np

from lnsegfm.phantom.anatomy import Anatomy, Draw, Station, fat_strands, outline
from lnsegfm.phantom.shapes import Arc, Ellipsoid, Shape, Tube, straight

_Z = (-60.0, 0.0, 60.0)
_SIDES = (-1, 1)


def chest(draw: Draw) -> Anatomy:
    """Return a chest with random proportions, cut out around the mediastinum."""
    body = draw.tube(_Z, (0, 0, 0), (0, 0, 4), (150, 150, 138), (92, 90, 80), size_sd=0.03, waves=0.02)
    anatomy = outline(draw, body, couch_top=100.0)
    muscle, blood = draw.between(draw.domain.muscle_hu), draw.between(draw.domain.vessel_hu)
    anatomy.add(body, draw.near(muscle, 2.0), inset=10.0, yields=True)
    cavity = draw.tube(_Z, (0, 0, 0), (-2, -2, 2), (122, 122, 104), (66, 64, 52), size_sd=0.02)
    anatomy.add(cavity, anatomy.fat_hu, yields=True)
    _ribs(draw, anatomy)
    fat_strands(draw, anatomy, 8, (22.0, 45.0), blood)
    _lungs(draw, anatomy, blood)
    _spine(draw, anatomy)
    _heart(draw, anatomy, blood, muscle)
    _vessels(draw, anatomy, blood)
    _airways(draw, anatomy, muscle)
    anatomy.stations = _stations()
    return anatomy


def _ribs(draw: Draw, anatomy: Anatomy) -> None:
    tilt = np.deg2rad(draw.near(20.0, 3.0))
    down = (0.0, float(-np.cos(tilt)), float(-np.sin(tilt)))
    phase, bone = draw.between((0.0, 22.0)), draw.between((350.0, 520.0))
    for level in np.arange(-99.0, 99.0, 22.0) + phase:
        for half in (down, (-down[0], -down[1], -down[2])):
            rib = Arc((0.0, 0.0, float(level)), (1.0, 0.0, 0.0), half, 130.0, 73.0, 3.5, 5.0)
            anatomy.add(rib, bone)
            anatomy.add(rib, 170.0, inset=1.5)
    sternum = straight(0.0, -72.0, 17.0, 5.5, (-90.0, 50.0))
    anatomy.add(sternum, bone)
    anatomy.add(sternum, 130.0, inset=1.6)


def _lungs(draw: Draw, anatomy: Anatomy, blood: float) -> None:
    air = draw.near(-850.0, 20.0)
    for side in _SIDES:
        inner = [side * v for v in (72, 70, 66)]
        lung = draw.tube(_Z, inner, (0, 0, 6), (46, 46, 38), (60, 58, 48), size_sd=0.03, waves=0.05)
        anatomy.add(lung, air)
        for _ in range(16):  # the lung's own vessels
            z = draw.between((-60.0, 60.0))
            start, end = draw.between((36.0, 50.0)), draw.between((60.0, 95.0))
            y = draw.near(4.0, 14.0)
            knots = (z, z + draw.between((15.0, 40.0)))
            anatomy.add(
                draw.tube(
                    knots,
                    (side * start, side * end),
                    (y, y + draw.near(0.0, 12.0)),
                    (2.5, 1.2),
                    (2.5, 1.2),
                    z_range=knots,
                ),
                draw.near(blood, 8.0) * 0.6,
            )


def _spine(draw: Draw, anatomy: Anatomy) -> None:
    cortex, marrow = draw.between((450.0, 650.0)), draw.between((150.0, 230.0))
    phase = draw.between((0.0, 24.0))
    muscles = draw.near(55.0, 2.0)
    for side in _SIDES:
        anatomy.add(straight(side * 24.0, 72.0, 20.0, 13.0, (-300.0, 300.0)), muscles)
    for level in np.arange(-96.0, 96.0, 24.0) + phase:
        centre = float(level)
        anatomy.add(straight(0.0, 44.0, 15.0, 12.0, (centre + 10.0, centre + 14.0)), 90.0)
        parts: tuple[Shape, ...] = (
            straight(0.0, 44.0, 16.0, 13.0, (centre - 10.0, centre + 10.0)),
            Ellipsoid((0.0, 76.0, centre - 8.0), (3.5, 14.0, 6.0)),
            *(Ellipsoid((side * 20.0, 58.0, centre), (14.0, 4.5, 6.0)) for side in _SIDES),
        )
        for part in parts:
            anatomy.add(part, cortex)
            anatomy.add(part, marrow, inset=1.8)
    anatomy.add(straight(0.0, 63.0, 8.0, 7.0, (-300.0, 300.0)), 30.0)


def _heart(draw: Draw, anatomy: Anatomy, blood: float, muscle: float) -> None:
    heart = Ellipsoid((draw.near(12.0, 2.0), draw.near(-25.0, 2.0), draw.near(-68.0, 3.0)), (48.0, 36.0, 42.0))
    anatomy.add(heart, draw.near(muscle + 25.0, 5.0))
    for x, y, size in ((28.0, -18.0, 20.0), (-8.0, -32.0, 18.0)):
        anatomy.add(Ellipsoid((x, y, -72.0), (size, size * 0.8, size * 1.2)), draw.near(blood, 6.0))


def _vessels(draw: Draw, anatomy: Anatomy, blood: float) -> None:
    aorta, arch_z = draw.near(blood, 6.0), draw.near(24.0, 2.0)
    up = draw.tube((-60, 24), (-12, -8), (-22, -22), (14, 13), (14, 13), z_range=(-45.0, arch_z), sd=0.6)
    down = draw.tube((-60, 24), (14, 20), (28, 22), (11, 11.5), (11, 11.5), z_range=(-200.0, arch_z), sd=0.6)
    middle = ((-8.0 + 20.0) / 2, 0.0, arch_z)
    half = float(np.hypot(14.0, 22.0))
    arch = Arc(middle, (14.0 / half, 22.0 / half, 0.0), (0.0, 0.0, 1.0), half, half * 0.75, 12.0, 12.0)
    for part in (up, down, arch):
        anatomy.add(part, aorta)
    vein = draw.near(blood + 15.0, 15.0)
    anatomy.add(draw.tube(_Z, (-27, -27, -22), (-18, -18, -24), (8, 8, 7), (9, 9, 8), sd=0.8), vein)
    anatomy.add(straight(-10.0, 30.0, 3.0, 3.0, (-200.0, 12.0)), vein)  # azygos vein: like a small lymph node
    lung_artery = draw.near(blood, 6.0)
    anatomy.add(Ellipsoid((14.0, -26.0, -16.0), (12.0, 14.0, 17.0)), lung_artery)
    for side in _SIDES:
        turn = 0.25 * side
        axes = np.array([[np.cos(turn), -np.sin(turn), 0.0], [np.sin(turn), np.cos(turn), 0.0], [0.0, 0.0, 1.0]])
        anatomy.add(Ellipsoid((side * 24.0, -8.0, -16.0), (24.0, 8.0, 8.0), axes), lung_artery)
    for x, y in ((-10.0, -18.0), (4.0, -12.0), (16.0, -2.0)):  # the branches of the arch
        anatomy.add(draw.tube((30, 60), (x, x * 1.3), (y, y), (4.5, 4), (4.5, 4), z_range=(30.0, 200.0)), aorta)


def _airways(draw: Draw, anatomy: Anatomy, muscle: float) -> None:
    fork = draw.near(2.0, 2.0)
    trachea = draw.tube(
        _Z, (-4, -3, 0), (4, 4, 2), (9.5, 9.5, 9.5), (8.5, 8.5, 8.5), z_range=(fork - 4.0, 300.0), sd=0.6
    )
    bronchi = [
        Tube(
            draw.curve((-40, fork), (-3 + side * 38, -3 + side * 4), 0.6),
            draw.curve((-40, fork), (10, 4), 0.6),
            draw.curve((-40, fork), (7.0, 9.0)),
            draw.curve((-40, fork), (6.0, 7.5)),
            z_range=(-42.0, fork + 2.0),
        )
        for side in _SIDES
    ]
    for part in (trachea, *bronchi):
        anatomy.add(part, draw.near(muscle - 10.0, 3.0))
    for part in (trachea, *bronchi):
        anatomy.add(part, -995.0, inset=1.8)
    gullet = draw.tube(_Z, (6, 5, 4), (20, 19, 17), (7, 7, 7), (5, 5, 5), sd=0.8)
    anatomy.add(gullet, draw.near(muscle - 8.0, 3.0))
    if draw.rng.random() < 0.5:
        anatomy.add(gullet, -800.0, inset=3.5)


def _stations() -> list[Station]:
    """Return the stations of the mediastinum, those near the fork of the windpipe first."""
    return [
        Station((-14.0, -6.0, 14.0), (4.0, 5.0, 7.0)),  # 4R
        Station((0.0, 8.0, -18.0), (7.0, 5.0, 5.0)),  # 7
        Station((9.0, 2.0, 8.0), (4.0, 4.0, 5.0)),  # 4L
        Station((-15.0, -8.0, 40.0), (5.0, 6.0, 8.0)),  # 2R
        Station((10.0, -38.0, 6.0), (8.0, 6.0, 9.0)),  # 6
        Station((26.0, -22.0, 6.0), (4.0, 6.0, 7.0)),  # 5
        Station((-30.0, 12.0, -14.0), (5.0, 5.0, 6.0)),  # 10R
        Station((30.0, 10.0, -10.0), (5.0, 5.0, 6.0)),  # 10L
        Station((-2.0, 30.0, -36.0), (6.0, 4.0, 10.0)),  # 8
        Station((-8.0, -48.0, 26.0), (10.0, 6.0, 12.0)),  # 3a
    ]
