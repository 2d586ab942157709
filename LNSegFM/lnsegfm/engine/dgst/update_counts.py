"""How much of a network a training changed, counted from the weights themselves."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def count_updates(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> dict[str, int]:
    """Compare two state dicts bit by bit.

    Returns:
        ``total``: entries of ``before``; ``updated``: those whose value in ``after`` differs; ``added``: entries of
        ``after`` that ``before`` does not have. A tensor of several names counts once.
    """
    total = updated = added = 0
    for name, value in _unique(after).items():
        if name not in before:
            added += value.numel()
            continue
        total += value.numel()
        # NaN is never stored, and a sign of zero is no change of the function.
        updated += int(torch.count_nonzero(before[name] != value))
    return {"total": total, "updated": updated, "added": added}


def _unique(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    found: dict[tuple[int, torch.Size], tuple[str, Tensor]] = {}
    for name, value in weights.items():
        if value.is_floating_point():
            found.setdefault((value.data_ptr(), value.shape), (name, value))
    return dict(found.values())
