"""The labels that nnU-Net's ``dataset.json`` names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from lnsegfm.base.errors import UserError
from lnsegfm.base.schema import Limits, read_file

DATASET = "dataset.json"
# "CT", also with a remark behind it: "CT (venous)", "ct_1".
_MOST_LABELS, _LARGEST = 10_000, 1_000_000
_Number = Annotated[int, Limits(-_LARGEST, _LARGEST)]
_Value = _Number | Annotated[str, Limits(length=200)] | list[_Number]
_Channels = dict[str, str] | list[str] | None
_CT = re.compile(r"ct(?:[^a-z/+&].*)?")


@dataclass(frozen=True)
class _Content:
    """What is needed of the file."""

    labels: Annotated[dict[str, _Value], Limits(length=_MOST_LABELS)] = field(default_factory=dict)
    channel_names: _Channels = None
    modality: _Channels = None


@dataclass(frozen=True)
class DatasetLabels:
    """What a ``dataset.json`` says of the values in label files.

    Args:
        structures: Values by name, without background and 'ignore'; a region of nnU-Net has several.
        ignore: Value of the label 'ignore'; None where there is none.
        channel: What the images show, by the name of their first channel; empty where it is not told.
    """

    structures: Mapping[str, tuple[int, ...]]
    ignore: int | None = None
    channel: str = ""

    @classmethod
    def read(cls, path: Path) -> DatasetLabels:
        """Read a file.

        Both ``{"name": value}`` (nnU-Net 2) and ``{"value": "name"}`` (the Medical Segmentation Decathlon) are read.

        Raises:
            UserError: It cannot be read, or its labels are no positive whole numbers.
        """
        try:
            content = read_file(_Content, path, newer=True)
            return replace(_from_json(content.labels), channel=_first_channel(content))
        except (OSError, ValueError) as error:
            raise UserError(
                f"The labels of {path.parent.name} cannot be told apart.", f"{DATASET}: {error}.",
                "Correct dataset.json, or remove it and give --label-values.",
            ) from error

    @classmethod
    def beside(cls, labels: Path) -> DatasetLabels | None:
        """Read the ``dataset.json`` of a label file or a folder of them: there, or in the folder above; None without.

        Raises:
            UserError: As `read`.
        """
        folder = labels.resolve() if labels.is_dir() else labels.resolve().parent
        path = next((each / DATASET for each in (folder, folder.parent) if (each / DATASET).is_file()), None)
        return None if path is None else cls.read(path)


    def check_ct(self, folder: Path) -> None:
        """Check that the images of a data set are CTs, as far as its ``dataset.json`` tells.

        Args:
            folder: The data set, for the message.

        Raises:
            UserError: It names something else, such as MRI.
        """
        if self.channel and not _CT.fullmatch(self.channel.casefold()):
            raise UserError(
                f"{folder.name} cannot be imported.", f"By its {DATASET} the images are no CTs but '{self.channel}'.",
                f"Choose a data set of CTs; if they are CTs, correct channel_names in {DATASET} to CT.",
            )


def _first_channel(content: _Content) -> str:
    channels = content.modality if content.channel_names is None else content.channel_names
    if isinstance(channels, Mapping):
        channels = list(channels.values())
    return channels[0].strip() if channels else ""


def _from_json(labels: Mapping[str, int | str | list[int]]) -> DatasetLabels:
    named: dict[str, tuple[int, ...]] = {}
    for key, value in dict(labels).items():
        if key.isdecimal() and isinstance(value, str) and not value.isdecimal():
            key, value = value, int(key)
        named[key] = tuple(int(each) for each in (value if isinstance(value, list) else [value]))
    ignore = named.pop("ignore", None)
    if ignore is not None and (type(labels.get("ignore")) is str or len(ignore) != 1 or ignore[0] < 1):
        raise ValueError(f"the label 'ignore' is {labels.get('ignore')!r}, not a positive whole number")
    structures = {name: values for name, values in named.items() if name != "background" and values != (0,)}
    if negative := [name for name, values in structures.items() if min(values, default=1) < 1]:
        raise ValueError(f"the value of {', '.join(negative)} is no positive whole number")
    return DatasetLabels(structures, ignore[0] if ignore else None)
