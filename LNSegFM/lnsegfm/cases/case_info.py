"""What is known of a corrected case, and how ``case.json`` says it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from lnsegfm.base import schema
from lnsegfm.base.errors import UserError
from lnsegfm.base.schema import Limits
from lnsegfm.images.geometry import Geometry

CASE = "case.json"
IMAGE = "image.nrrd"
USES = ("train", "holdout", "reference", "excluded")
"""Learned from; measured on; measured on as the base model's own domain, for what it forgets; not used."""
IGNORE = 2
"""Value of the voxels of a stored label that were not reviewed."""
_Time = Annotated[str, Limits(length=60)]
_Count = Annotated[int, Limits(0, 1 << 40)]
_Digest = Annotated[str, Limits(pattern="[0-9a-f]{0,64}")]


@dataclass(frozen=True)
class LabelVersion:
    """One accepted correction; it is never changed.

    Args:
        number: Version number, from 1.
        created: UTC time of the acceptance, ISO 8601.
        nodes: Number of lymph nodes (26-connected).
        foreground_voxels: Number of lymph node voxels.
        note: The user's own words.
        no_nodes: Whether the user stated that the CT shows no lymph nodes.
        partial: Whether only part of the CT was reviewed; the rest has the value `IGNORE`.
        draft_dice: Dice of the correction against the model's draft in the reviewed part, 0 to 1; None where the
            draft is not known.
        extents: Voxels (x, y, z) of the box around each lymph node, largest lymph node first; None where it was not
            stored, as in homes of earlier versions.
    """

    number: Annotated[int, Limits(1, 1_000_000)]
    created: _Time
    nodes: _Count
    foreground_voxels: _Count
    note: str = ""
    no_nodes: bool = False
    partial: bool = False
    draft_dice: Annotated[float | None, Limits(0, 1)] = None
    extents: tuple[tuple[_Count, _Count, _Count], ...] | None = None


@dataclass(frozen=True)
class CaseInfo:
    """A CT with its accepted label versions.

    Args:
        id: Our own id; the name of the case's folder.
        path: The case's folder.
        created: UTC time of the first acceptance, ISO 8601.
        use: One of `USES`.
        draft_model: Id of the model that made the first draft, or empty.
        draft_model_sha256: SHA-256 of that model, or empty.
        versions: The label versions, oldest first; at least one.
        geometry: Grid of the CT and of all label versions.
        origin_key: SHA-256 of the CT's voxels, by which the same scan is recognised; tells nothing of the patient.
    """

    id: str
    path: Path
    created: str
    use: str
    draft_model: str
    draft_model_sha256: str
    versions: tuple[LabelVersion, ...]
    geometry: Geometry
    origin_key: str

    @property
    def image_path(self) -> Path:
        """File of the CT."""
        return self.path / IMAGE

    @property
    def latest(self) -> LabelVersion:
        """The newest label version."""
        return self.versions[-1]

    def label_path(self, version: int | None = None) -> Path:
        """Return the file of a label version: uint8, 0 background, 1 lymph node, `IGNORE`, on the CT's grid.

        Args:
            version: Its number; the newest by default.

        Raises:
            UserError: There is no such version.
        """
        return self.path / label_name(self._version(version).number)

    def is_partial(self, version: int | None = None) -> bool:
        """Tell whether only part of the CT was reviewed for a label version; raises as `label_path`."""
        return self._version(version).partial

    def _version(self, number: int | None) -> LabelVersion:
        for known in self.versions:
            if known.number == (self.latest.number if number is None else number):
                return known
        known_numbers = ", ".join(str(known.number) for known in self.versions)
        raise UserError(
            f"The case '{self.id}' has no label version {number}.", f"It has {known_numbers}.", "Choose one of these.",
        )

    def to_json(self) -> dict[str, Any]:
        """Return what goes into ``case.json``."""
        values = asdict(self)
        del values["path"], values["id"]
        return values

    @classmethod
    def read(cls, folder: Path) -> CaseInfo:
        """Read a case's folder.

        Raises:
            UserError: ``case.json`` is missing or damaged.
        """
        try:
            stored = schema.read_file(_CaseFile, folder / CASE)
        except (OSError, ValueError) as error:
            raise UserError(
                f"The case '{folder.name}' cannot be read.", f"{CASE}: {error}.",
                "Remove the case and accept its correction again.",
            ) from error
        return cls(folder.name, folder, **{name: getattr(stored, name) for name in vars(stored)})


@dataclass(frozen=True)
class _CaseFile:
    """What ``case.json`` holds of a `CaseInfo`."""

    created: _Time
    use: Annotated[str, Limits(choices=USES)]
    draft_model: str
    draft_model_sha256: _Digest
    versions: Annotated[tuple[LabelVersion, ...], Limits(least=1)]
    geometry: Geometry
    origin_key: _Digest


def label_name(number: int) -> str:
    """File name of a label version."""
    return f"label-{number:04d}.nrrd"
