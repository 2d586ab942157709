"""The numbers that the paper prints (Luo et al., MICCAI 2025, Tables 1 and 2), to stand beside ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lnsegfm.research.benchmark.aggregate import METRICS, Estimate
from lnsegfm.research.benchmark.experiment import ALL_SHOT


@dataclass(frozen=True)
class PaperValues:
    """Printed results.

    Args:
        scores: Estimate by dataset, method, shots (0 for All-shot) and metric; what is not known is left out.
        iteration_s: Duration of an iteration in seconds by method.
        device: What the durations were measured on.
        gaps: By dataset: what is not in ``scores`` though the tables have it, and why.
    """

    scores: Mapping[tuple[str, str, int, str], Estimate]
    iteration_s: Mapping[str, float]
    device: str
    gaps: Mapping[str, str]


# By dataset and shots; then by method DSC and NSD for each number of shots, as printed, "?" where it is not known.
_ROWS: dict[tuple[str, tuple[int, ...]], dict[str, str]] = {
    ("SegRap2023", (3, 5, 10)): {
        "scratch": "46.68±14.46 39.10±13.86  56.52±9.48 48.15±7.74  58.56±10.44 50.98±8.30",
        "full": "62.66±8.45 55.16±9.86  64.86±9.36 57.68±9.41  65.99±9.12 59.32±8.21",
        "linear": "59.31±11.13 50.48±10.70  58.95±11.43 50.05±10.59  59.15±11.37 50.31±10.53",
        "bias": "63.48±9.07 55.04±9.27  66.42±8.68 58.83±7.88  67.35±8.72 59.96±7.90",
        "adapter": "62.97±8.92 54.41±9.74  66.77±8.51 59.35±7.69  67.04±8.80 59.69±8.35",
        "lora": "65.73±8.30 58.08±9.24  66.34±8.59 58.66±8.06  67.02±8.87 59.72±7.87",
        "affine": "64.89±8.44 56.23±8.47  66.33±8.82 58.75±7.77  67.82±8.47 60.64±7.50",
        "dgst": "65.05±8.07 57.09±7.18  67.36±8.45 60.25±7.62  68.44±8.59 61.97±7.21",
    },
    ("SegRap2023", (0,)): {ALL_SHOT: "69.20±9.06 62.33±7.47"},
    ("SegRap2023", (3, 10)): {
        "encoder": "59.33±11.13 50.48±10.69  59.23±11.34 50.37±10.53",
        "decoder": "59.08±10.81 51.12±11.28  64.24±9.96 57.37±8.45",
        "bias_norm": "64.21±9.08 55.79±9.17  67.26±8.24 60.21±7.63",
        "drst": "65.61±8.53 57.64±8.30  67.59±8.93 60.20±7.83",
        "sgst": "64.58±7.99 56.84±8.40  67.78±8.65 61.01±6.89",
    },
    ("LNQ2023", (5, 10, 20)): {
        "scratch": "37.11±22.90 34.03±19.79  41.43±24.18 41.87±21.12  55.76±25.57 55.15±23.60",
        "full": "49.09±21.88 48.72±19.06  53.68±24.25 54.09±22.06  62.47±23.44 63.00±21.94",
        "linear": "6.56±6.95 6.13±5.07  7.35±9.08 7.05±6.84  6.88±7.71 6.41±5.67",
        "bias": "44.51±22.24 40.99±18.94  51.62±23.68 48.56±20.82  53.43±21.98 50.09±20.15",
        "adapter": "46.99±23.51 43.43±20.71  51.79±23.78 48.46±22.30  57.13±22.48 54.48±20.58",
        "lora": "47.93±20.72 46.21±19.06  52.13±22.63 49.78±20.60  59.25±22.07 56.03±21.62",
        "affine": "45.61±21.83 41.75±19.20  51.10±23.29 47.96±21.35  ? 55.16±21.17",
        # Printed in Table 2 too, which is where these come from.
        "dgst": "50.94±22.41 48.76±19.86  ? ?  63.82±21.69 63.84±20.31",
    },
    ("LNQ2023", (5, 20)): {
        "encoder": "6.49±6.86 6.03±5.02  6.92±7.72 6.43±5.66",
        "decoder": "46.97±24.15 45.21±21.52  59.68±22.24 58.88±20.17",
        "bias_norm": "45.91±21.27 41.82±19.34  56.12±21.32 54.19±20.13",
        "drst": "43.56±21.12 40.44±18.05  52.19±22.13 48.93±20.91",
        "sgst": "48.25±21.40 46.44±19.01  60.28±25.18 60.02±23.70",
    },
}


def _estimate(printed: str) -> Estimate | None:
    if printed == "?":
        return None
    mean, _, sd = printed.partition("±")
    return Estimate(float(mean), float(sd))


def _scores() -> dict[tuple[str, str, int, str], Estimate]:
    scores = {}
    for (dataset, shots), rows in _ROWS.items():
        columns = [(number, metric) for number in shots for metric in METRICS]
        for method, line in rows.items():
            for (number, metric), printed in zip(columns, line.split(), strict=True):
                estimate = _estimate(printed)
                if estimate is not None:
                    scores[dataset, method, number, metric] = estimate
    return scores


PAPER = PaperValues(
    scores=_scores(),
    iteration_s={
        "full": 0.2085, "encoder": 0.0880, "decoder": 0.1605, "bias_norm": 0.1534, "drst": 0.2193, "sgst": 0.2197,
        "dgst": 0.2813,
    },
    device="NVIDIA V100",
    gaps={
        "LNQ2023": "The 10-shot scores of DGST, the 20-shot DSC of Affine-IN and All-shot are in the paper's Table 1, "
        "but not in the text from which these numbers were taken.",
    },
)  # fmt: skip
"""The paper's Tables 1 and 2. Both were made with 8:2 splits of 120 cases."""
