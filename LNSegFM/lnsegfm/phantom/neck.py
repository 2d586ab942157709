"""The neck: from the collar bones to the lower jaw."""

from __future__ import annotations

import numpy as np

from lnsegfm.phantom.anatomy import Anatomy, Draw, Station, fat_strands, outline
from lnsegfm.phantom.shapes import Arc, Ellipsoid, Shape, straight

_Z = (-60.0, 0.0, 60.0)
_SIDES = (-1, 1)


def neck(draw: Draw) -> Anatomy:
    """Return a neck with random proportions."""
    shoulders = draw.between((68.0, 105.0))
    body = draw.tube(_Z, (0, 0, 0), (8, 6, 0), (shoulders, 61, 65), (62, 62, 76), size_sd=0.04, waves=0.03)
    anatomy = outline(draw, body, couch_top=84.0)
    muscle, blood = draw.between(draw.domain.muscle_hu), draw.between(draw.domain.vessel_hu)
    fat_strands(draw, anatomy, 14, (52.0, 55.0), blood)
    _muscles(draw, anatomy, muscle)
    _spine(draw, anatomy)
    _glands(draw, anatomy)
    _throat(draw, anatomy, muscle)
    _jaw(draw, anatomy, muscle)
    _vessels(draw, anatomy, blood)
    anatomy.stations = _stations()
    return anatomy


def _muscles(draw: Draw, anatomy: Anatomy, muscle: float) -> None:
    for side in _SIDES:
        groups = (
            # sternocleidomastoid: from behind the ear down to the breast bone
            draw.tube(
                _Z,
                [side * v for v in (22, 45, 50)],
                (-34, 0, 24),
                (6, 6, 7),
                (13, 17, 15),
                angle=side * 0.45,
                waves=0.05,
            ),
            # scalenes and levator scapulae
            draw.tube(_Z, [side * v for v in (32, 27, 24)], (14, 17, 20), (9, 7, 6), (9, 9, 8), waves=0.08),
            draw.tube(_Z, [side * v for v in (42, 36, 34)], (28, 30, 32), (7, 6, 6), (10, 9, 9), waves=0.08),
            # the muscles of the back of the neck
            draw.tube(_Z, [side * v for v in (20, 20, 20)], (44, 44, 42), (16, 15, 16), (11, 12, 12), waves=0.06),
            # trapezius
            draw.tube(_Z, [side * v for v in (48, 32, 20)], (46, 54, 58), (28, 18, 12), (5, 4, 3), angle=-side * 0.4),
            # longus colli
            draw.tube(_Z, [side * v for v in (9, 9, 9)], (1, 1, 3), (7, 7, 7), (3.5, 3.5, 3.5)),
            # strap muscles in front of the throat
            draw.tube(
                (-60, 0),
                [side * v for v in (10, 13)],
                (-39, -36),
                (9, 8),
                (2.5, 2.5),
                z_range=(-np.inf, 12.0),
                angle=side * 0.35,
            ),
            # posterior belly of digastric: as round in the axial plane as a lymph node
            draw.tube((20, 60), [side * v for v in (24, 46)], (-16, 18), (4.5, 4.5), (4, 4), z_range=(20.0, 60.0)),
        )
        for shape in groups:
            anatomy.add(shape, draw.near(muscle, 2.0), yields=True)


def _spine(draw: Draw, anatomy: Anatomy) -> None:
    cortex, marrow = draw.between((520.0, 800.0)), draw.between((180.0, 280.0))
    phase = draw.between((0.0, 18.0))
    for level in np.arange(-90.0, 90.0, 18.0) + phase:
        centre = float(level)
        column = straight(0.0, 13.0, 11.5, 8.5, (centre - 7.0, centre + 7.0))
        parts: tuple[Shape, ...] = (
            column,
            Ellipsoid((0.0, 42.0, centre - 5.0), (3.5, 13.0, 4.5)),
            *(Ellipsoid((side * 16.0, 20.0, centre), (8.0, 5.0, 5.5)) for side in _SIDES),
            *(Ellipsoid((side * 9.0, 34.0, centre - 1.0), (9.0, 3.0, 6.0)) for side in _SIDES),
        )
        anatomy.add(straight(0.0, 13.0, 11.0, 8.0, (centre + 7.0, centre + 11.0)), 90.0)
        for part in parts:
            anatomy.add(part, cortex)
            anatomy.add(part, marrow, inset=1.8)
    anatomy.add(draw.tube(_Z, (0, 0, 0), (28, 28, 28), (8.5, 8.5, 9), (6, 6, 7), sd=0.3), 30.0)


def _glands(draw: Draw, anatomy: Anatomy) -> None:
    gland, thyroid = draw.between(draw.domain.gland_hu), draw.between(draw.domain.thyroid_hu)
    for side in _SIDES:
        submandibular = (draw.near(side * 30.0, 1.5), draw.near(-22.0, 2.0), draw.near(32.0, 3.0))
        anatomy.add(Ellipsoid(submandibular, (8.0, 12.0, 11.0)), gland + 15.0)
        parotid = (draw.near(side * 49.0, 1.5), draw.near(4.0, 2.0), draw.near(60.0, 3.0))
        anatomy.add(Ellipsoid(parotid, (9.0, 15.0, 15.0)), gland - 25.0)
        lobe = (draw.near(side * 16.0, 1.0), draw.near(-20.0, 1.5), draw.near(-42.0, 3.0))
        anatomy.add(Ellipsoid(lobe, (draw.near(7.0, 1.0), draw.near(9.0, 1.0), 19.0)), thyroid)
    anatomy.add(Ellipsoid((0.0, -31.0, -45.0), (14.0, 3.0, 6.0)), thyroid)


def _throat(draw: Draw, anatomy: Anatomy, muscle: float) -> None:
    z = (-60.0, -25.0, 0.0, 20.0, 60.0)
    wall = draw.tube(z, (0,) * 5, (-20, -20, -18, -14, -10), (11, 14, 17, 18, 20), (10, 12, 14, 11, 9), sd=0.5)
    anatomy.add(wall, draw.near(muscle, 3.0))
    if draw.rng.random() < 0.8:  # the cartilage of the larynx, not yet turned to bone in the others
        anatomy.add(
            Arc((0.0, -16.0, -8.0), (1.0, 0.0, 0.0), (0.0, -1.0, 0.0), 15.0, 18.0, 1.6, 12.0),
            draw.between((90.0, 220.0)),
        )
    anatomy.add(Arc((0.0, -18.0, 16.0), (1.0, 0.0, 0.0), (0.0, -1.0, 0.0), 19.0, 19.0, 2.2, 3.5), 380.0)
    anatomy.add(straight(4.0, -5.5, 6.0, 4.0, (-200.0, -18.0)), draw.near(muscle - 6.0, 3.0))
    airway = draw.tube(z, (0,) * 5, (-20, -20, -18, -13, -9), (8.5, 7, 5, 9, 12), (8, 9, 8, 4, 3.5), sd=0.5)
    anatomy.add(airway, -1000.0)


def _jaw(draw: Draw, anatomy: Anatomy, muscle: float) -> None:
    anatomy.add(Ellipsoid((0.0, -38.0, 56.0), (25.0, 25.0, 26.0)), draw.near(muscle, 3.0))
    jaw = Arc((0.0, -10.0, draw.near(54.0, 3.0)), (1.0, 0.0, 0.0), (0.0, -1.0, 0.0), 43.0, 50.0, 5.5, 14.0)
    anatomy.add(jaw, draw.between((800.0, 1150.0)))
    anatomy.add(jaw, draw.between((250.0, 400.0)), inset=2.4)


def _vessels(draw: Draw, anatomy: Anatomy, blood: float) -> None:
    for side in _SIDES:
        vein, artery = draw.near(blood, 8.0), draw.near(blood + 10.0, 8.0)
        anatomy.add(
            draw.tube(
                _Z,
                [side * v for v in (25, 31, 31)],
                (-6, 0, 7),
                (6.5, 6, 4.5),
                (5, 5, 4),
                angle=side * 0.5,
                size_sd=0.18,
                waves=0.06,
            ),
            vein,
        )
        anatomy.add(
            draw.tube(_Z, [side * v for v in (18, 22, 24)], (-8, -6, -1), (3.8, 3.8, 2.8), (3.8, 3.8, 2.8)), artery
        )
        # the external carotid and the facial vein, above the fork
        anatomy.add(
            draw.tube((10, 60), [side * v for v in (23, 33)], (-9, -6), (2.3, 2), (2.3, 2), z_range=(8.0, 200.0)),
            artery,
        )
        anatomy.add(
            draw.tube((0, 40), [side * v for v in (33, 42)], (-6, -30), (2.2, 2), (2, 2), z_range=(4.0, 42.0)), vein
        )
        # external jugular vein under the skin, vertebral artery beside the spine
        anatomy.add(
            draw.tube(_Z, [side * v for v in (38, 53, 52)], (-8, 4, 20), (2, 2, 2), (2.4, 2.4, 2), sd=1.5),
            vein,
            yields=True,
        )
        anatomy.add(
            draw.tube(_Z, [side * v for v in (17, 15, 15)], (6, 13, 13), (1.8, 1.8, 1.8), (1.8, 1.8, 1.8)), artery
        )
        # front jugular vein
        anatomy.add(
            draw.tube(
                _Z,
                [side * v for v in (8, 9, 9)],
                (-46, -45, -46),
                (1.5, 1.5, 1.5),
                (1.3, 1.3, 1.3),
                z_range=(-200.0, 20.0),
            ),
            vein,
            yields=True,
        )


def _stations() -> list[Station]:
    """Return the levels of the neck, the ones beside the middle of the jugular vein first."""
    stations = []
    for centre, spread in (
        ((38.0, 6.0, 4.0), (4.0, 6.0, 9.0)),  # III
        ((38.0, 8.0, 26.0), (4.0, 6.0, 7.0)),  # II
        ((33.0, 6.0, -34.0), (4.0, 5.0, 8.0)),  # IV
        ((45.0, 24.0, -8.0), (4.0, 6.0, 16.0)),  # V
        ((30.0, -34.0, 24.0), (5.0, 5.0, 5.0)),  # Ib
        ((25.0, -26.0, -28.0), (5.0, 5.0, 9.0)),  # before the vessels
    ):
        stations += [Station((side * centre[0], centre[1], centre[2]), spread) for side in _SIDES]
    return stations
