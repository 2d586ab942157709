"""Lymph nodes: ellipsoids in the fat beside vessels and muscles."""

from __future__ import annotations

import numpy as np

from lnsegfm.phantom.anatomy import Anatomy, Draw, Station
from lnsegfm.phantom.shapes import Array, Ellipsoid

_TRIES = 24
_SURFACE = 40
_ROUNDS = 8
_GAP = 2.0  # mm between separate lymph nodes, so that they do not touch on the default grid
_PUSHED = 0.45  # share of the surface that may lie in tissue that yields


def place(anatomy: Anatomy, draw: Draw, scale: float) -> list[Ellipsoid]:
    """Return the lymph nodes of a patient, at least two, in anatomy coordinates.

    Args:
        anatomy: The patient without lymph nodes.
        draw: The random choices.
        scale: Physical mm for one mm of the anatomy, so that sizes come out in physical mm.
    """
    low, high = draw.domain.node_count
    wanted = int(draw.rng.integers(low, high + 1))
    stations = [anatomy.stations[int(draw.rng.integers(2))]]
    stations += [anatomy.stations[i] for i in draw.rng.choice(len(anatomy.stations), size=len(anatomy.stations))]
    nodes: list[Ellipsoid] = []
    groups = 0
    for station in stations:
        if groups == wanted:
            break
        node = _fit(anatomy, draw, station, nodes, scale)
        if node is None:
            continue
        groups += 1
        nodes.append(node)
        if draw.rng.random() < draw.domain.confluent:
            nodes += _grown_together(anatomy, draw, node, nodes[:-1])
    return nodes


def _fit(anatomy: Anatomy, draw: Draw, station: Station, others: list[Ellipsoid], scale: float) -> Ellipsoid | None:
    """Return a lymph node at ``station``, smaller each time there is no room; None when not even a small one fits."""
    low, high = draw.domain.node_mm
    diameter = draw.between((low, high)) / scale
    for _ in range(_ROUNDS):
        spread = np.asarray(station.spread) * np.clip(draw.rng.standard_normal((_TRIES, 3)), -2.0, 2.0)
        candidates = [_ellipsoid(draw, np.asarray(station.centre) + offset, diameter) for offset in spread]
        fitting = _fits(anatomy, candidates, others)
        if fitting.any():
            return candidates[int(np.argmax(fitting))]
        diameter = max(diameter * 0.85, low / scale)
    return None


def _ellipsoid(draw: Draw, centre: Array, diameter: float) -> Ellipsoid:
    """Return an ellipsoid of smallest diameter ``diameter`` mm in a random orientation."""
    ratios = np.array([1.0, draw.between((1.0, 1.25)), draw.between((1.15, 1.6))])
    axes, _ = np.linalg.qr(draw.rng.standard_normal((3, 3)))
    radii = diameter / 2 * ratios
    x, y, z = (float(value) for value in centre)
    return Ellipsoid((x, y, z), (float(radii[0]), float(radii[1]), float(radii[2])), axes)


def _sphere_points(count: int) -> Array:
    """Return points spread evenly over the unit sphere (Fibonacci lattice), shape (count, 3)."""
    index = np.arange(count) + 0.5
    polar, azimuth = np.arccos(1.0 - 2.0 * index / count), np.pi * (1.0 + 5.0**0.5) * index
    return np.stack([np.cos(azimuth) * np.sin(polar), np.sin(azimuth) * np.sin(polar), np.cos(polar)], axis=1)


def _surface(nodes: list[Ellipsoid]) -> Array:
    """Return points on and inside the surfaces, shape (nodes, points, 3)."""
    sphere = _sphere_points(_SURFACE)
    sphere = np.concatenate([sphere, sphere * 0.5])
    return np.stack([np.asarray(n.centre) + (sphere * np.asarray(n.radii)) @ np.asarray(n.axes).T for n in nodes])


def _fits(anatomy: Anatomy, candidates: list[Ellipsoid], others: list[Ellipsoid]) -> np.ndarray:
    """Tell for each candidate whether it lies in the patient, off everything that does not yield, and off others."""
    points = _surface(candidates)
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    fits = (anatomy.body.distance(x, y, z) < -4.0).all(axis=1)
    for other in others:
        fits &= (other.distance(x, y, z) > _GAP).all(axis=1)
    pushed = np.zeros(x.shape, bool)
    lower, upper = points.min(axis=(0, 1)), points.max(axis=(0, 1))
    for tissue in anatomy.tissues:
        box = tissue.shape.bounds()
        if tissue.inset or (box[0] > upper).any() or (box[1] < lower).any() or tissue.shape is anatomy.body:
            continue
        inside = tissue.shape.distance(x, y, z) < (0.0 if tissue.yields else 0.5)
        if tissue.yields:
            pushed |= inside & (tissue.hu > anatomy.fat_hu + 50.0)
        else:
            fits &= ~inside.any(axis=1)
    return fits & (pushed.mean(axis=1) <= _PUSHED)


def _grown_together(anatomy: Anatomy, draw: Draw, node: Ellipsoid, others: list[Ellipsoid]) -> list[Ellipsoid]:
    """Return one or two lymph nodes that overlap ``node``, none where there is no room."""
    smallest = 2 * min(node.radii)
    found: list[Ellipsoid] = []
    for _ in range(int(draw.rng.integers(1, 3))):
        directions = draw.rng.standard_normal((_TRIES, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        size = max(smallest * draw.between((0.7, 1.0)), 4.2)
        centres = np.asarray(node.centre) + directions * (np.mean(node.radii) + size / 2) * 0.75
        candidates = [_ellipsoid(draw, centre, size) for centre in centres]
        fitting = _fits(anatomy, candidates, others)
        if fitting.any():
            found.append(candidates[int(np.argmax(fitting))])
    return found
