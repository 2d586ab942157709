"""What a model's ``dataset.json`` may say: one CT in, background and one other label out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from lnsegfm.base.schema import Limits, SchemaError, read

_MOST_LABELS = 1000
Name = Annotated[str, Limits(length=200)]


@dataclass(frozen=True)
class Dataset:
    """The fields of a ``dataset.json`` that are used."""

    labels: Annotated[dict[Name, Any], Limits(length=_MOST_LABELS)]
    channel_names: Annotated[dict[Name, Name], Limits(length=_MOST_LABELS)] | None = None
    modality: Annotated[dict[Name, Name], Limits(length=_MOST_LABELS)] | None = None
    numTraining: Annotated[int, Limits(0, 10**8)] | None = None
    file_ending: Annotated[str, Limits(length=20, pattern=r"(\.[A-Za-z0-9]+)+")] = ".nii.gz"
    regions_class_order: Annotated[list[Annotated[int, Limits(0, 255)]], Limits(length=_MOST_LABELS)] | None = None

    def __post_init__(self) -> None:
        _check_labels(self.labels)
        # nnU-Net reads 'modality' where it is there, as its first version wrote it.
        channels = self.modality if self.modality is not None else self.channel_names
        if channels is None:
            raise SchemaError("channel_names", "is missing")
        if len(channels) != 1:
            raise SchemaError("channel_names", f"has {len(channels)} image channels; LN-Seg-FM gives the model one CT")


def read_dataset(content: Any) -> Dataset:
    """Hold the content of a ``dataset.json`` against the schema.

    Raises:
        SchemaError: A field is missing, of another type or beyond its limits; it names the field.
    """
    return read(Dataset, content, newer=True)


def _check_labels(labels: dict[str, Any]) -> None:
    foreground = [value for name, value in labels.items() if name not in ("background", "ignore")]
    if not _is(labels.get("background"), 0) or len(foreground) != 1 or not _is(foreground[0], 1):
        raise SchemaError(
            "labels", f"must be background with value 0 and one foreground label with value 1, not {str(labels)[:200]}"
        )
    # nnU-Net refuses any other value when the model is used.
    if "ignore" in labels and not _is(labels["ignore"], 2):
        raise SchemaError("labels.ignore", f"must be 2, not {str(labels['ignore'])[:60]}")


def _is(value: Any, number: int) -> bool:
    return type(value) is int and value == number
