"""The labels that nnU-Net's ``dataset.json`` names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lnsegfm.base.errors import UserError
from lnsegfm.base.files import read_json

DATASET = "dataset.json"


@dataclass(frozen=True)
class DatasetLabels:
    """What a ``dataset.json`` says of the values in label files.

    Args:
        structures: Values by name, without background and 'ignore'; a region of nnU-Net has several.
        ignore: Value of the label 'ignore'; None where there is none.
    """

    structures: Mapping[str, tuple[int, ...]]
    ignore: int | None = None

    @classmethod
    def read(cls, path: Path) -> DatasetLabels:
        """Read a file.

        Both ``{"name": value}`` (nnU-Net 2) and ``{"value": "name"}`` (the Medical Segmentation Decathlon) are read.

        Raises:
            UserError: It cannot be read, or its labels are no positive whole numbers.
        """
        try:
            return _from_json(dict(read_json(path)).get("labels", {}))
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
