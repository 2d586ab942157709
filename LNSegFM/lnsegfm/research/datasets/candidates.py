"""What an import is fed with: the candidates of a source, read one at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol

import numpy as np
import SimpleITK as sitk

from lnsegfm.base.errors import UserError

NODE = 1


@dataclass(frozen=True)
class LabelledCt:
    """A CT and its labels on the same grid.

    Args:
        ct: As `lnsegfm.inputs.reading.read_ct` gives it.
        labels: uint8, shape (z, y, x): 0, `NODE`, and `lnsegfm.cases.case_info.IGNORE` where it was not annotated.
        done: What was done to get there, one sentence each; names in it stand in quotation marks, and are not stored.
    """

    ct: sitk.Image
    labels: np.ndarray
    done: list[str] = field(default_factory=list)


class Opened(Protocol):
    """A candidate that was looked into."""

    def sources(self) -> dict[str, Sequence[Path]]:
        """Return its files by role (``image``, ``labels``); those that are missing are left out."""
        ...

    def load(self) -> LabelledCt:
        """Read CT and labels.

        Raises:
            UserError: They cannot be used; the text is shown to the user and, without names, stored.
        """
        ...


class Candidate(Protocol):
    """One CT of a source that may become a case."""

    @property
    def name(self) -> str:
        """How the source calls it; for the user's eyes only."""
        ...

    def opened(self) -> Opened:
        """Look into it; what is found there is forgotten with the returned object."""
        ...


def listed(folder: Path) -> list[Path]:
    """Return what a folder directly holds, but for hidden files, in the order of the names.

    Raises:
        UserError: It is not a folder.
    """
    if not folder.is_dir():
        raise UserError("The source cannot be imported.", f"{folder} is not a folder.", "Check the path.")
    return sorted((path for path in folder.iterdir() if not path.name.startswith(".")), key=lambda path: path.name)


def subfolders(folder: Path, wanted: str) -> list[Path]:
    """Return the folders in ``folder``, one a patient.

    Raises:
        UserError: There is none.
    """
    found = [path for path in listed(folder) if path.is_dir()]
    if not found:
        raise nothing_found(folder, wanted)
    return found


def nothing_found(folder: Path, wanted: str) -> UserError:
    """Return the refusal of a folder that is not of the layout ``wanted``."""
    why = f"{folder} holds nothing of the kind {wanted}."
    return UserError("The source cannot be imported.", why, "Check the path.")


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Tell whether a structure's name fits one of the patterns (``*``, ``?``, ``[abc]``), in any case."""
    return any(fnmatchcase(name.strip().casefold(), pattern.casefold()) for pattern in patterns)
