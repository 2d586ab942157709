"""What a checkpoint says of itself besides its weights, from a stranger: plans, dataset description, names, axes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lnsegfm.base.errors import UserError
from lnsegfm.engine.networks.zipped_model import WANTED
from lnsegfm.models.model_content import LARGEST_DESCRIPTION

_AXES = (0, 1, 2)
_DEPTH = 24
_LONGEST_NAME = 200


@dataclass(frozen=True)
class CheckpointNotes:
    """What nnU-Net needs of a checkpoint besides its weights.

    Args:
        name: The checkpoint's file name, for messages.
        arguments: What its trainer was made with, unchecked.
        configuration: Name of the configuration; empty where it does not tell.
        trainer: Name of the trainer class, likewise.
        mirroring_axes: The axes along which it may be mirrored.
    """

    name: str
    arguments: Mapping[Any, Any]
    configuration: str
    trainer: str
    mirroring_axes: tuple[int, ...] | None

    @classmethod
    def of(cls, content: Mapping[str, Any], name: str) -> CheckpointNotes:
        """Take the notes from the content of a checkpoint.

        Args:
            content: See `lnsegfm.engine.networks.checkpoints.Checkpoint`.
            name: The file's name, for messages.

        Raises:
            UserError: One is of another type.
        """
        arguments = content.get("init_args")
        arguments = arguments if isinstance(arguments, dict) else {}
        return cls(
            name,
            arguments,
            _name(arguments.get("configuration"), name, "init_args.configuration"),
            _name(content.get("trainer_name"), name, "trainer_name"),
            _mirroring_axes(content.get("inference_allowed_mirroring_axes"), name),
        )

    @property
    def plans(self) -> Any:
        """Content of the ``plans.json`` that it was trained with; None where it does not tell. See `plain_json`."""
        return plain_json(self.arguments.get("plans"), self.name, "init_args.plans")

    @property
    def dataset(self) -> Any:
        """Content of its ``dataset.json``, likewise."""
        return plain_json(self.arguments.get("dataset_json"), self.name, "init_args.dataset_json")


def plain_json(value: Any, name: str, where: str) -> Any:
    """Return a copy that shares nothing with itself and can be written as JSON.

    A pickle can hold one list a million times for the price of one, which a copy cannot.

    Args:
        value: What a pickle or a JSON file holds.
        name: The file's name, for messages.
        where: The field.

    Raises:
        UserError: It is not JSON, nested too deeply, or larger than any ``plans.json``.
    """
    try:
        return _Copy().of(value, 0)
    except ValueError as error:
        why = f"'{where}' in it is not JSON that LN-Seg-FM takes: {error}."
        raise UserError(f"{name} cannot be installed.", why, WANTED) from error


class _Copy:
    def __init__(self) -> None:
        self._left = LARGEST_DESCRIPTION

    def of(self, value: Any, depth: int) -> Any:
        if depth > _DEPTH:
            raise ValueError(f"it is nested more than {_DEPTH} levels deep")
        self._count(1)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._text(value)
        if type(value) is int:
            return value
        if isinstance(value, float):
            if not math.isfinite(value):
                raise ValueError(f"it holds {value}, which is no number")
            return float(value)
        if isinstance(value, (list, tuple)):
            return [self.of(each, depth + 1) for each in value]
        if isinstance(value, dict):
            return {self._text(str(key)): self.of(each, depth + 1) for key, each in value.items()}
        raise ValueError(f"it holds a {type(value).__name__}")

    def _text(self, text: str) -> str:
        self._count(len(text))
        if not text.isascii():
            text.encode("utf-8")  # what cannot be written is refused here
        return text

    def _count(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise ValueError(f"it is larger than {LARGEST_DESCRIPTION >> 20} MiB")


def _name(value: Any, name: str, where: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > _LONGEST_NAME or not value.isprintable():
        raise UserError(f"{name} cannot be installed.", f"'{where}' in it is not a name.", WANTED)
    return value


def _mirroring_axes(axes: Any, name: str) -> tuple[int, ...] | None:
    if axes is None:
        return None
    usable = isinstance(axes, (list, tuple)) and all(type(axis) is int and axis in _AXES for axis in axes[:4])
    if not usable or len(set(axes)) < len(axes):
        why = "'inference_allowed_mirroring_axes' in it must be some of the mirroring axes 0, 1, 2."
        raise UserError(f"{name} cannot be installed.", why, WANTED)
    return tuple(axes)
