"""Which lymph nodes a segmentation finds, and what it shows where there is none, by size."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from lnsegfm.lymph_nodes.instances import NON_TARGET_MM, TARGET_MM, LymphNode, measure

SIZE_BINS = {
    "normal": f"< {NON_TARGET_MM:g} mm",
    "non-target": f"{NON_TARGET_MM:g} to < {TARGET_MM:g} mm",
    "target": f">= {TARGET_MM:g} mm",
}
"""What the size classes of `LymphNode` (RECIST 1.1) say of the short axis, smallest first."""


@dataclass(frozen=True)
class MatchedNode:
    """One connected region of a mask against the whole other mask.

    Args:
        node: Its measurements.
        overlap: Share of its voxels that lie in the other mask, 0 to 1.
        is_matched: Whether that is enough.
    """

    node: LymphNode
    overlap: float
    is_matched: bool


@dataclass(frozen=True)
class Detection:
    """The lymph nodes of one case.

    Args:
        truth: The true nodes; those that are not matched were missed.
        predicted: The predicted regions; those that are not matched are false positives.
    """

    truth: tuple[MatchedNode, ...]
    predicted: tuple[MatchedNode, ...]


@dataclass(frozen=True)
class NodeCounts:
    """The lymph nodes of several cases together.

    Args:
        cases: Number of cases.
        nodes: Number of true nodes.
        found: How many of them were found.
        false_positives: Number of predicted regions where there is no node.
    """

    cases: int
    nodes: int
    found: int
    false_positives: int

    @property
    def sensitivity(self) -> float | None:
        """Share of the true nodes that were found; None where there are none."""
        return self.found / self.nodes if self.nodes else None

    @property
    def false_positives_per_case(self) -> float | None:
        """Mean number of false positives; None without cases."""
        return self.false_positives / self.cases if self.cases else None

    @classmethod
    def of(cls, detections: Collection[Detection], *, size_class: str | None = None) -> NodeCounts:
        """Count the nodes of all cases.

        Args:
            detections: One per case.
            size_class: Count this class alone: true nodes by their own size, false positives by theirs.
        """
        truth = list(_of_class((each for case in detections for each in case.truth), size_class))
        predicted = _of_class((each for case in detections for each in case.predicted), size_class)
        return cls(
            cases=len(detections),
            nodes=len(truth),
            found=sum(each.is_matched for each in truth),
            false_positives=sum(not each.is_matched for each in predicted),
        )


def detect(pred: sitk.Image, truth: sitk.Image, *, overlap: float = 0.0) -> Detection:
    """Match the connected regions (26 neighbours) of a prediction with those of the truth.

    A region is matched when the other mask covers at least one of its voxels and at least the share ``overlap`` of
    them. The rule is the same in both directions and sets no region against a single partner: a prediction that
    merges two nodes finds both, and two parts that lie in one node are no false positives.

    Args:
        pred: 3D label image; every voxel that is not 0 counts as lymph node.
        truth: Label image on the same grid.
        overlap: 0 to 1; 0 asks for one common voxel.

    Raises:
        UserError: Not a 3D scalar image, or a sheared grid.
        ValueError: The shapes differ.
    """
    if pred.GetSize() != truth.GetSize():
        raise ValueError(f"label images of size {pred.GetSize()} and {truth.GetSize()} cannot be matched")
    return Detection(truth=_matched(truth, pred, overlap), predicted=_matched(pred, truth, overlap))


def count_nodes(pred: sitk.Image, truth: sitk.Image) -> dict[str, float | None]:
    """Return ``nodes`` (true ones), ``found`` and ``false`` (positives) of one case, see `detect`."""
    counts = NodeCounts.of([detect(pred, truth)])
    return {"nodes": counts.nodes, "found": counts.found, "false": counts.false_positives}


def _matched(own: sitk.Image, other: sitk.Image, overlap: float) -> tuple[MatchedNode, ...]:
    instances, nodes = measure(own)
    numbers = sitk.GetArrayViewFromImage(instances)
    is_own = numbers != 0
    is_common = is_own & (sitk.GetArrayViewFromImage(other) != 0)
    length = len(nodes) + 1
    voxels = np.bincount(numbers[is_own], minlength=length)
    covered = np.bincount(numbers[is_common], minlength=length)
    shares = [float(covered[node.number] / voxels[node.number]) for node in nodes]
    return tuple(MatchedNode(node, share, share > 0 and share >= overlap) for node, share in zip(nodes, shares))


def _of_class(nodes: Iterable[MatchedNode], size_class: str | None) -> Iterable[MatchedNode]:
    return (each for each in nodes if size_class in (None, each.node.size_class))
