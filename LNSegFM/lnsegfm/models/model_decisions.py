"""Which model was accepted last, and which were rejected: one small file, so that every decision is one step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from lnsegfm.base import disk
from lnsegfm.base.errors import UserError
from lnsegfm.base.files import write_json
from lnsegfm.base.schema import Limits, read_file

FILE = ".decisions.json"
# Where versions up to 0.1.0 had them.
_DEFAULT = ".default"
_REJECTED = ".rejected-"
_LONGEST = 4096


@dataclass(frozen=True)
class _Written:
    default: Annotated[str, Limits(length=255)] = ""
    rejected: tuple[Annotated[str, Limits(length=255)], ...] = ()


@dataclass(frozen=True)
class Decisions:
    """What the user has decided of the models of a store.

    Args:
        default: Id of the model that was accepted last; empty before any was. It may be gone.
        rejected: Ids of the rejected models; they may be gone.
        problem: Why it is not known what was decided, if it is not.
    """

    default: str = ""
    rejected: frozenset[str] = frozenset()
    problem: UserError | None = None

    @classmethod
    def read(cls, root: Path) -> Decisions:
        """Read those of a store; a file that is damaged becomes the ``problem``."""
        try:
            written = read_file(_Written, root / FILE, newer=True)
        except FileNotFoundError:
            return cls(_old_default(root), frozenset(_old_rejected(root)))
        except (OSError, ValueError) as error:
            return cls(problem=UserError(
                "It cannot be read which models were accepted or rejected.", f"{FILE}: {error}.",
                "Accept the model to begin with, and reject again those that must not be used.",
            ))  # fmt: skip
        return cls(written.default, frozenset(written.rejected))

    def accept(self, model_id: str) -> Decisions:
        """Return these with another default; it is not rejected any more."""
        return replace(self, default=model_id, rejected=self.rejected - {model_id})

    def reject(self, model_id: str, heir: str) -> Decisions:
        """Return these with one more rejected, and with ``heir`` for the default where it was that."""
        default = heir if self.default == model_id else self.default
        return replace(self, default=default, rejected=self.rejected | {model_id})

    def without(self, model_id: str) -> Decisions:
        """Return these without a model."""
        default = "" if self.default == model_id else self.default
        return replace(self, default=default, rejected=self.rejected - {model_id})

    def write(self, root: Path, there: Iterable[str]) -> None:
        """Write them in one step.

        Args:
            root: Folder of the store.
            there: Ids of what lies in the store; nothing is kept of others.
        """
        known = set(there)
        default = self.default if self.default in known else ""
        write_json(root / FILE, {"default": default, "rejected": sorted(self.rejected & known)})
        for old in (root / _DEFAULT, *root.glob(f"{_REJECTED}*")):
            disk.remove_file(old)  # without meaning since the new file is there


def mentioned(root: Path) -> set[str]:
    """Return the ids that a store's decisions name, also those of models that are gone."""
    decisions = Decisions.read(root)
    return {decisions.default, *decisions.rejected, *_old_rejected(root)} - {""}


def _old_default(root: Path) -> str:
    path = root / _DEFAULT
    try:
        text = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
    except (OSError, ValueError):
        return ""
    return text if len(text) <= _LONGEST and text.isprintable() else ""


def _old_rejected(root: Path) -> set[str]:
    return {path.name[len(_REJECTED) :] for path in root.glob(f"{_REJECTED}*")}
