"""One case of the phantom: an anatomy, seen by a scanner on a grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from lnsegfm.base.errors import UserError
from lnsegfm.phantom.anatomy import Anatomy, Draw
from lnsegfm.phantom.canvas import Canvas, Grid
from lnsegfm.phantom.chest import chest
from lnsegfm.phantom.domains import CATALOGUE
from lnsegfm.phantom.neck import neck
from lnsegfm.phantom.phantom_lymph_nodes import place
from lnsegfm.phantom.shapes import Array, Ellipsoid

_REGIONS = {"neck": neck, "chest": chest}
_MOST_VOXELS = 2**29
_UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True, eq=False)
class PhantomCase:
    """A CT with its true labels.

    Args:
        ct: int16, HU.
        labels: uint8 on the grid of ``ct``: 0 background, 1 lymph node.
        nodes: The lymph nodes as physical (LPS, mm) ellipsoids; confluent ones overlap. They may reach out of the
            volume where it is small.
    """

    ct: sitk.Image
    labels: sitk.Image
    nodes: tuple[Ellipsoid, ...]


def make_case(
    domain: str,
    seed: int,
    *,
    size: Sequence[int] = (96, 96, 40),
    spacing: Sequence[float] = (2.0, 2.0, 3.0),
    direction: Sequence[float] | None = None,
    origin: Sequence[float] = (0.0, 0.0, 0.0),
    noise: float = 1.0,
) -> PhantomCase:
    """Return a patient of a domain on a voxel grid.

    The patient belongs to ``domain`` and ``seed`` alone and lies around the physical centre of the volume, the head
    to physical superior: grids with the same centre show the same patient, whatever their axes and spacing. Only the
    noise belongs to the grid. Same arguments give the same voxels.

    Args:
        domain: One of ``DOMAINS``.
        seed: Which patient, 0 or more.
        size: Voxels (x, y, z) in SimpleITK's order, each at least 2.
        spacing: Spacing (x, y, z), mm.
        direction: SimpleITK's nine direction cosines, LPS. Default: upright.
        origin: Physical place of the first voxel's centre, LPS, mm.
        noise: Factor on the domain's noise; 0 gives a CT without noise.

    Raises:
        UserError: Unknown domain, or a grid that is not possible or that holds no lymph node.
    """
    if domain not in CATALOGUE:
        raise UserError(f"There is no phantom domain {domain!r}.", todo=f"Choose one of {', '.join(CATALOGUE)}.")
    extent, steps, cosines = _checked_grid(seed, size, spacing, direction, origin, noise)
    look = CATALOGUE[domain]
    stream = (int(seed), list(CATALOGUE).index(domain))
    draw = Draw(np.random.default_rng([*stream, 0]), look)
    scale = draw.between(look.scale)
    anatomy = _REGIONS[look.region](draw)
    # A stream of its own: another node placement must not change the anatomy of existing seeds.
    nodes = place(anatomy, Draw(np.random.default_rng([*stream, 1]), look), scale)

    canvas = Canvas(Grid(extent, cosines * steps, scale), draw.between(look.edge_mm) / scale)
    _paint(canvas, anatomy, nodes, Draw(np.random.default_rng([*stream, 2]), look))
    canvas.label(nodes)
    if not canvas.labels.any():
        raise UserError(
            "The phantom's volume holds no lymph node.",
            f"{_text(extent * steps)} mm in voxels of {_text(steps)} mm is too small or too coarse.",
            "Take a volume of at least 120 x 120 x 60 mm with voxels of at most 4 mm.",
        )
    grain = draw.between(look.noise_grain_mm)
    level = draw.between(look.noise_hu) * noise
    canvas.hu += level * _noise(canvas.hu.shape, grain / steps[::-1], np.random.default_rng([*stream, 3]))
    voxels = np.clip(np.rint(canvas.hu), -1024, 3071).astype(np.int16)

    centre = np.asarray(origin, float) + cosines @ (steps * (np.asarray(extent) - 1) / 2)
    return PhantomCase(
        _image(voxels, steps, cosines, origin),
        _image(canvas.labels, steps, cosines, origin),
        tuple(_physical(node, centre, scale) for node in nodes),
    )


def _text(values: Sequence[float] | Array) -> str:
    return " x ".join(f"{value:g}" for value in values)


def _checked_grid(
    seed: int,
    size: Sequence[int],
    spacing: Sequence[float],
    direction: Sequence[float] | None,
    origin: Sequence[float],
    noise: float,
) -> tuple[tuple[int, int, int], Array, Array]:
    """Return size, spacing and the 3x3 direction matrix, or raise UserError with the value that is not possible."""
    todo = "Give three positive numbers each for size (at least 2) and spacing, and an orthonormal direction."
    what = "The phantom cannot be made on this grid."
    if not isinstance(seed, Integral) or seed < 0:
        raise UserError("The phantom's seed is not possible.", f"It is {seed!r}.", "Give a whole number from 0 on.")
    if len(size) != 3 or not all(isinstance(n, Integral) and n >= 2 for n in size):
        raise UserError(what, f"The size is {tuple(size)}.", todo)
    if np.prod([int(n) for n in size], dtype=float) > _MOST_VOXELS:
        raise UserError(what, f"The size {tuple(size)} is over {_MOST_VOXELS} voxels.", "Give a smaller size.")
    steps = np.asarray(spacing, float)
    if steps.shape != (3,) or not (np.isfinite(steps).all() and (steps > 0).all()):
        raise UserError(what, f"The spacing is {tuple(spacing)}.", todo)
    matrix = np.asarray(_UPRIGHT if direction is None else direction, float)
    if matrix.shape != (9,) or not np.allclose(matrix.reshape(3, 3).T @ matrix.reshape(3, 3), np.eye(3), atol=1e-4):
        raise UserError(what, f"The direction is {matrix.tolist()}.", todo)
    if len(origin) != 3 or not np.isfinite(np.asarray(origin, float)).all():
        raise UserError(what, f"The origin is {tuple(origin)}.", todo)
    if not (np.isfinite(noise) and noise >= 0):
        raise UserError("The phantom's noise is not possible.", f"It is {noise}.", "Give a factor from 0 on.")
    return (int(size[0]), int(size[1]), int(size[2])), steps, matrix.reshape(3, 3)


def _paint(canvas: Canvas, anatomy: Anatomy, nodes: list[Ellipsoid], draw: Draw) -> None:
    for tissue in anatomy.outside:
        canvas.paint(tissue.shape, tissue.hu, inset=tissue.inset)
    body = canvas.weight(anatomy.body)
    mask = np.zeros_like(canvas.hu)
    if body is not None:
        mask[body[0]] = body[1]
    canvas.mask = mask
    for tissue in anatomy.tissues:
        canvas.paint(tissue.shape, tissue.hu, inset=tissue.inset)
    base = draw.between(draw.domain.node_hu)
    for node in nodes:
        hu = draw.near(base, 4.0)
        canvas.paint(node, hu)
        if min(node.radii) > 5.5 and draw.rng.random() < draw.domain.necrotic:
            canvas.paint(node.resized(0.6), draw.between((8.0, 20.0)))
    canvas.hu += _texture(canvas.grid, draw) * mask


def _texture(grid: Grid, draw: Draw) -> NDArray[np.float32]:
    """Return the slow unevenness of tissue, HU: it belongs to the patient, unlike the noise."""
    x, y, z = grid.points((slice(0, grid.size[2]), slice(0, grid.size[1]), slice(0, grid.size[0])))
    total = np.zeros(grid.size[::-1], np.float32)
    for _ in range(6):
        # A product of waves, one for each coordinate, costs next to nothing where a coordinate needs only a line.
        product: NDArray[np.float32] = np.full((1, 1, 1), 7.0, np.float32)
        for coordinate in (x, y, z):
            wavelength, phase = draw.between((9.0, 30.0)), draw.between((0.0, 2 * np.pi))
            product = product * np.cos(coordinate * (2 * np.pi / wavelength) + phase).astype(np.float32)
        total += product
    return total


def _noise(shape: tuple[int, ...], grain: Array, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return correlated noise of standard deviation 1; ``grain`` is the correlation length in voxels (z, y, x)."""
    white = rng.standard_normal(shape, dtype=np.float32)
    smooth = gaussian_filter(white, grain / 2, mode="wrap", truncate=3.0)
    scaled: NDArray[np.float32] = smooth / max(float(smooth.std()), 1e-6)
    return scaled


def _image(array: np.ndarray, spacing: Array, cosines: Array, origin: Sequence[float]) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing([float(value) for value in spacing])
    image.SetDirection([float(value) for value in cosines.ravel()])
    image.SetOrigin([float(value) for value in origin])
    return image


def _physical(node: Ellipsoid, centre: Array, scale: float) -> Ellipsoid:
    x, y, z = (float(value) for value in centre + scale * np.asarray(node.centre))
    return Ellipsoid((x, y, z), node.radii, node.axes).resized(scale)
