"""In which order volumes are worth correcting, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lnsegfm.lymph_nodes.instances import LymphNode

# A doubtful node has a mean probability nearer to the decision's edge (1/2) than to certainty.
_DOUBTFUL = 0.75


@dataclass(frozen=True)
class Candidate:
    """A volume that may be corrected.

    Args:
        key: What the caller knows it by, such as the id of its node.
        expected_benefit: See `lnsegfm.segmentation.uncertainty`; None while it is not segmented.
        nodes: The lymph nodes that were found in it.
        corrected: Whether a correction of it was accepted already.
    """

    key: str
    expected_benefit: float | None = None
    nodes: tuple[LymphNode, ...] = ()
    corrected: bool = False


@dataclass(frozen=True)
class Ranked:
    """A volume's place in the worklist.

    Args:
        key: That of its `Candidate`.
        position: 1 is to be corrected first.
        reason: Why it stands there, in words.
    """

    key: str
    position: int
    reason: str


def rank(candidates: Iterable[Candidate]) -> list[Ranked]:
    """Return the volumes in the order in which they are worth correcting.

    By expected benefit, the greatest first; then what is not segmented yet; what is corrected already comes last.
    Volumes of the same rank keep their order.
    """
    ordered = sorted(candidates, key=_place)
    return [Ranked(candidate.key, position, _reason(candidate)) for position, candidate in enumerate(ordered, start=1)]


def _place(candidate: Candidate) -> tuple[bool, bool, float]:
    benefit = candidate.expected_benefit
    return candidate.corrected, benefit is None, -(benefit or 0.0)


def _reason(candidate: Candidate) -> str:
    if candidate.corrected:
        return "Corrected already."
    if candidate.expected_benefit is None:
        return "Not segmented yet."
    # No Dice: networks are surer than they should be, most of all on scans unlike those they learned from.
    doubt = f"Uncertainty {candidate.expected_benefit:.1%}"
    if not candidate.nodes:
        return f"{doubt}; no lymph nodes found."
    doubtful = sum(node.confidence is not None and node.confidence < _DOUBTFUL for node in candidate.nodes)
    return f"{doubt}; low confidence in {doubtful} of {len(candidate.nodes)} lymph nodes."
