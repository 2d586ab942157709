"""What the user says of a CT and its labels where their files alone do not make it certain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lnsegfm.base.errors import UserError

Placement = Literal["certain", "ct", "own"]
PLACEMENTS: tuple[Placement, ...] = ("certain", "ct", "own")
ALL_VALUES = "all"
Notes = list[str]
"""Gets what was done to labels and left out of them, a sentence each."""


@dataclass(frozen=True)
class InputOptions:
    """How a CT and its labels are read; without any argument only what is certain is taken, the rest is refused.

    Args:
        placement: Where labels lie whose grid is not certainly a part of the CT's: ``certain`` refuses them, ``ct``
            takes their voxels with the CT's header (they must be as many), ``own`` believes their own header and
            resamples them (nearest neighbour).
        values: The values that are lymph node, ``"1,2"`` or ``"all"``; empty to tell by the names of the segments, or
            by the only value that there is.
        unusual: The user has looked at labels of which most voxels are air, fat or bone, or that fill most of the CT.
        assume_hu: The CT's values are HU, although they do not look like it.

    Raises:
        UserError: An unknown placement, or values that are no list of whole numbers above 0.
    """

    placement: Placement = "certain"
    values: str = ""
    unusual: bool = False
    assume_hu: bool = False

    def __post_init__(self) -> None:
        if self.placement not in PLACEMENTS:
            raise UserError(
                f"Labels cannot be placed by '{self.placement}'.", f"Known are {', '.join(PLACEMENTS)}.",
                "Choose one of these.",
            )
        parts = [part.strip() for part in self.values.split(",")] if self.values else []
        if self.values != ALL_VALUES and not all(part.isdecimal() and int(part) > 0 for part in parts):
            raise UserError(
                f"'{self.values}' are not valid label values.", "They are whole numbers above 0.",
                "Give them as in 1,2 - or 'all'.",
            )

    @property
    def numbers(self) -> frozenset[int]:
        """The values that were chosen; empty where none was, or all."""
        return frozenset() if self.values in ("", ALL_VALUES) else frozenset(map(int, self.values.split(",")))


ONLY_CERTAIN = InputOptions()
"""The user says nothing: what is not certain is refused."""
