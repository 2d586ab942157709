"""The paper's Fig. 2 and Fig. 3 as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from lnsegfm.base.files import write_atomic
from lnsegfm.jobs.method_names import METHODS
from lnsegfm.research.benchmark.aggregate import METRICS
from lnsegfm.research.benchmark.experiment import ORDER
from lnsegfm.research.benchmark.figure_cases import FigureCase, Slice, read_slice
from lnsegfm.research.benchmark.sweep import GammaSweep

TRUTH, PREDICTION = "#00d05a", "#ffe000"
# Blue and vermilion of Okabe and Ito: told apart by colour-blind readers, and in grey by marker and dash.
_STYLES = {"dsc": ("#0072b2", "o", "-"), "nsd": ("#d55e00", "s", "--")}
_LEVEL_HU, _WINDOW_HU = 40, 400
_MARGIN_MM, _LEAST_WIDTH_MM = 15.0, 80.0
_SCALE_MM = 20
# Small, so that the texts stay readable when eight columns are printed on a page.
_PANEL_INCHES = 1.3
_DPI = 220
_OUTLINE = [withStroke(linewidth=1.5, foreground="black")]


def draw_gamma(sweeps: Sequence[GammaSweep], path: Path) -> None:
    """Write Fig. 3: mean DSC and NSD over γ, one panel per sweep, Full as horizontal lines.

    Args:
        sweeps: At least one.
        path: PNG file.
    """
    figure = Figure(figsize=(3.9 * len(sweeps) + 0.4, 3.3), layout="constrained")
    for axis, sweep in zip(np.ravel(figure.subplots(1, len(sweeps), squeeze=False)), sweeps):
        _draw_sweep(axis, sweep)
    handles = figure.axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=4 if len(sweeps) > 1 else 2, frameon=False,
                  fontsize=9, handlelength=3)  # fmt: skip
    _save(figure, path)


def draw_contours(cases: Sequence[FigureCase], path: Path) -> None:
    """Write Fig. 2: truth and prediction on the CT, one row per case, one column per method.

    Each row shows the axial slice with the largest area of truth, in radiological orientation (the patient's right is
    on the left), at level 40 HU and window 400 HU, cropped to what is drawn in any column of the row.

    Args:
        cases: At least one, with at least one prediction among them.
        path: PNG file.

    Raises:
        UserError: A case cannot be read; see `lnsegfm.research.benchmark.figure_cases.read_slice`.
    """
    methods = [method for method in ORDER if any(method in case.predictions for case in cases)]
    slices = [read_slice(case) for case in cases]
    crops = [_crop(each) for each in slices]
    heights = [
        _PANEL_INCHES * (rows.stop - rows.start) * each.spacing_yx[0] / ((cols.stop - cols.start) * each.spacing_yx[1])
        for each, (rows, cols) in zip(slices, crops)
    ]
    tight = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.03, wspace=0, hspace=0)
    figure = Figure(figsize=(_PANEL_INCHES * len(methods) + 0.3, sum(heights) + 0.65), layout=tight)
    grid = figure.subplots(len(cases), len(methods), squeeze=False, gridspec_kw={"height_ratios": heights})
    for line, case, each, crop in zip(grid, cases, slices, crops):
        for axis, method in zip(line, methods):
            _draw_slice(axis, each, each.predictions.get(method), crop)
        line[0].set_ylabel(case.dataset, fontsize=10)
        _draw_marks(line[0])
    for axis, method in zip(grid[0], methods):
        axis.set_title(METHODS[method].name, fontsize=10)
    _draw_key(figure, 1 if len(methods) == 1 else 2)
    _save(figure, path)


def _draw_sweep(axis: Axes, sweep: GammaSweep) -> None:
    places = range(len(sweep.points))
    for metric in METRICS:
        colour, marker, dash = _STYLES[metric]
        means = [np.nan if (found := point.scores[metric]) is None else found.mean for point in sweep.points]
        axis.plot(places, means, color=colour, marker=marker, linestyle=dash, label=f"DGST, {metric.upper()}")
        reference = sweep.full.scores[metric]
        level = np.nan if reference is None else reference.mean
        axis.axhline(level, color=colour, linestyle=":", linewidth=1.5, label=f"Full, {metric.upper()}")
    axis.set_xticks(places, [str(point.gamma) for point in sweep.points])
    axis.margins(x=0.08, y=0.15)
    axis.set_xlabel("γ")
    axis.set_ylabel("mean over cases (%)")
    axis.set_title(f"{sweep.dataset}, {sweep.shots}-shot", fontsize=10)
    axis.grid(axis="y", color="#d8d8d8", linewidth=0.6)
    axis.set_axisbelow(True)


def _crop(each: Slice) -> tuple[slice, slice]:
    """Rows and columns of a square around all masks, wide enough to recognise the anatomy."""
    drawn = np.argwhere(np.logical_or.reduce([each.truth, *each.predictions.values()]))
    low, high = drawn.min(axis=0), drawn.max(axis=0)
    half_mm = max(((high - low) * each.spacing_yx).max() / 2 + _MARGIN_MM, _LEAST_WIDTH_MM / 2)
    halves = half_mm / np.asarray(each.spacing_yx)
    first, last = np.rint((low + high) / 2 - halves), np.rint((low + high) / 2 + halves)
    rows, columns = (
        slice(max(0, int(start)), min(size, int(stop) + 1)) for start, stop, size in zip(first, last, each.hu.shape)
    )
    return rows, columns


def _draw_slice(axis: Axes, each: Slice, prediction: np.ndarray | None, crop: tuple[slice, slice]) -> None:
    height, width = (size * step for size, step in zip(each.hu.shape, each.spacing_yx))
    half_y, half_x = (step / 2 for step in each.spacing_yx)
    # In mm, so that the aspect is that of the patient whatever the voxels.
    extent = (-half_x, width - half_x, height - half_y, -half_y)
    low, high = _LEVEL_HU - _WINDOW_HU / 2, _LEVEL_HU + _WINDOW_HU / 2
    axis.imshow(each.hu, cmap="gray", vmin=low, vmax=high, extent=extent, interpolation="bilinear")
    # The truth is the wider line, so that it shows at both sides of a prediction that lies on it.
    for mask, colour, linewidth in ((each.truth, TRUTH, 1.8), (prediction, PREDICTION, 0.9)):
        if mask is not None and mask.any():
            _contour(axis, mask, each.spacing_yx, colour, linewidth)
    if prediction is None:
        axis.text(0.5, 0.03, "not done", transform=axis.transAxes, ha="center", color="white", fontsize=8,
                  path_effects=_OUTLINE)  # fmt: skip
    rows, columns = crop
    axis.set_xlim((columns.start - 0.5) * 2 * half_x, (columns.stop - 0.5) * 2 * half_x)
    axis.set_ylim((rows.stop - 0.5) * 2 * half_y, (rows.start - 0.5) * 2 * half_y)
    axis.set_aspect("equal")
    axis.set_xticks([])
    axis.set_yticks([])


def _contour(axis: Axes, mask: np.ndarray, spacing_yx: tuple[float, float], colour: str, linewidth: float) -> None:
    # A frame of background closes the contours of masks that touch the border of the image.
    framed = np.pad(mask.astype(float), 1)
    y, x = ((np.arange(size) - 1) * step for size, step in zip(framed.shape, spacing_yx))
    axis.contour(x, y, framed, [0.5], colors=colour, linewidths=linewidth)


def _draw_marks(axis: Axes) -> None:
    """The patient's right, and a scale bar."""
    axis.text(0.03, 0.97, "R", transform=axis.transAxes, ha="left", va="top", color="white", fontsize=9,
              path_effects=_OUTLINE)  # fmt: skip
    left, right = axis.get_xlim()
    bottom, top = axis.get_ylim()
    start, y = left + 0.05 * (right - left), bottom + 0.05 * (top - bottom)
    axis.plot([start, start + _SCALE_MM], [y, y], color="white", linewidth=2, path_effects=_OUTLINE)
    axis.text(start, y + 0.02 * (top - bottom), f"{_SCALE_MM} mm", ha="left", va="bottom", color="white", fontsize=7,
              path_effects=_OUTLINE)  # fmt: skip


def _draw_key(figure: Figure, columns: int) -> None:
    keys = {"truth": TRUTH, "prediction": PREDICTION}
    lines = [Line2D([], [], color=colour, linewidth=3) for colour in keys.values()]
    # On the grey of soft tissue, as in the pictures: yellow on white paper is not readable.
    figure.legend(lines, keys, loc="outside lower center", ncols=columns, fontsize=9, facecolor="#606060",
                  labelcolor="white")  # fmt: skip


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    # Without the metadata, so that the same results give the same file with any version of matplotlib.
    write_atomic(path, lambda temporary: figure.savefig(temporary, dpi=_DPI, metadata={"Software": None}))
