"""The report's pictures."""

from __future__ import annotations

import base64
import io
from typing import Any

import matplotlib
import numpy as np
import SimpleITK as sitk

matplotlib.use("agg")
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

TRUTH, PREDICTION = "#00c853", "#ffd600"
SHOWN_SLICES = 3
WINDOW = (-160, 240)


def contours(ct: sitk.Image, truth: sitk.Image, predictions: dict[str, sitk.Image]) -> str:
    """Draw the axial slices with most truth: one row a prediction, truth green, prediction yellow; as a data URL."""
    image, expected = sitk.GetArrayViewFromImage(ct), sitk.GetArrayFromImage(truth)
    area = expected.sum((1, 2))
    slices = sorted(np.argsort(area)[-SHOWN_SLICES * 3 :][::3])
    rows, columns, _ = (slice(max(int(i.min()) - 22, 0), int(i.max()) + 22) for i in _columns(expected))
    figure, axes = plt.subplots(len(predictions), len(slices), figsize=(3.3 * len(slices), 3.1 * len(predictions)))
    for line, (name, labels) in zip(np.atleast_2d(axes), predictions.items()):
        found = sitk.GetArrayFromImage(labels)
        for axis, index in zip(line, slices):
            axis.imshow(image[index][rows, columns], cmap="gray", vmin=WINDOW[0], vmax=WINDOW[1])
            for array, colour in ((expected, TRUTH), (found, PREDICTION)):
                if array[index][rows, columns].any():
                    axis.contour(array[index][rows, columns], [0.5], colors=colour, linewidths=1.4)
            axis.set_xticks([])
            axis.set_yticks([])
        line[0].set_ylabel(name, fontsize=11)
    return _data_url(figure)


def _columns(array: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    depth, rows, columns = np.nonzero(array)
    return rows, columns, depth


def loss_curve(rows: list[dict[str, Any]]) -> str:
    """Draw loss and hold-out pseudo-Dice over the iterations, as a data URL."""
    figure, axis = plt.subplots(figsize=(7.5, 3))
    axis.plot([row["iteration"] for row in rows], [row["loss"] for row in rows], color="#3f6fb5", linewidth=1)
    axis.set_xlabel("iteration")
    axis.set_ylabel("loss (cross-entropy + Dice)", color="#3f6fb5")
    scored = [row for row in rows if row.get("pseudo_dice") is not None]
    if scored:
        other = axis.twinx()
        other.plot([row["iteration"] for row in scored], [row["pseudo_dice"] for row in scored], "o-", color="#c25b2a")
        other.set_ylabel("hold-out pseudo-Dice", color="#c25b2a")
        other.set_ylim(0, 1)
    return _data_url(figure)


def _data_url(figure: Figure) -> str:
    figure.tight_layout()
    stream = io.BytesIO()
    figure.savefig(stream, dpi=90)
    plt.close(figure)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
