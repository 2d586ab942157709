"""The labels that nnU-Net's ``dataset.json`` names."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lnsegfm.base.errors import UserError
from lnsegfm.base.files import read_json

DATASET = "dataset.json"
# "CT", also with a remark behind it: "CT (venous)", "ct_1".
_CT = re.compile(r"ct(?:[^a-z/+&].*)?")


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
            content = dict(read_json(path))
            return replace(_from_json(content.get("labels", {})), channel=_first_channel(content))
        except (OSError, json.JSONDecodeError, AttributeError, TypeError, ValueError) as error:
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


def _first_channel(content: Mapping[str, Any]) -> str:
    channels = content.get("channel_names", content.get("modality")) or {}
    if isinstance(channels, Mapping):
        channels = list(channels.values())
    return str(channels[0]).strip() if isinstance(channels, list) and channels else ""


def _from_json(labels: Mapping[str, Any]) -> DatasetLabels:
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
