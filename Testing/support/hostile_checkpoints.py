"""Small files that claim to be checkpoints of a tiny model, and to need gigabytes."""

from __future__ import annotations

import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tiny_models import tiny_checkpoint
from tiny_plans import tiny_plans

GIB = 1 << 30
WEIGHT = "encoder.stages.0.0.convs.0.conv.weight"
# Stored as four bytes in a pickle, and nowhere else in these files.
_COUNT = 70_001


class Call:
    """Is pickled as the call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.function, self.arguments


def _saved(path: Path, change: Callable[[dict[str, Any]], None], **options: Any) -> None:
    content = tiny_checkpoint(tiny_plans())
    change(content)
    torch.save(content, path, **options)


def _repacked(path: Path, change: Callable[[str, bytes], bytes], compressed: int = 1 << 60) -> None:
    """Change the entries; those of at least ``compressed`` bytes are compressed."""
    with zipfile.ZipFile(path) as reader:
        entries = {entry.filename: reader.read(entry) for entry in reader.infolist()}
    with zipfile.ZipFile(path, "w") as writer:
        for name, old in entries.items():
            new = change(name, old)
            writer.writestr(name, new, zipfile.ZIP_DEFLATED if len(new) >= compressed else zipfile.ZIP_STORED)


def repeated_numbers(path: Path) -> None:
    _saved(path, lambda content: content["network_weights"].update({WEIGHT: torch.zeros(1).expand(GIB)}))


def spread_numbers(path: Path) -> None:
    spread = torch.zeros(GIB // 256).as_strided((2, 1, 3, 3, 3), (GIB // 512, 27, 9, 3, 1))
    _saved(path, lambda content: content["network_weights"].update({WEIGHT: spread}))


def claimed_storage(path: Path) -> None:
    _saved(path, lambda content: content["network_weights"].update({WEIGHT: torch.zeros(_COUNT)}))
    old, new = struct.pack("<i", _COUNT), struct.pack("<i", GIB)
    _repacked(path, lambda name, content: content.replace(old, new) if name.endswith("data.pkl") else content)


def compressed_zeros(path: Path) -> None:
    _saved(path, lambda content: content["network_weights"].update({WEIGHT: torch.zeros(_COUNT)}))
    old, new, zeros = struct.pack("<i", _COUNT), struct.pack("<i", GIB // 8), bytes(GIB // 2)

    def change(name: str, content: bytes) -> bytes:
        if name.endswith("data.pkl"):
            return content.replace(old, new)
        return zeros if len(content) == 4 * _COUNT else content

    _repacked(path, change, len(zeros))


def superfluous_weight(path: Path) -> None:
    _saved(path, lambda content: content["network_weights"].update({"extra.weight": torch.zeros(GIB // 12)}))


def old_format(path: Path) -> None:
    _saved(
        path, lambda content: content["network_weights"].update({WEIGHT: torch.zeros(_COUNT)}),
        _use_new_zipfile_serialization=False,
    )
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack("<i", _COUNT), struct.pack("<i", GIB)))


def called_bytearray(path: Path) -> None:
    _saved(path, lambda content: content["logging"].update(x=Call(bytearray, 2 * GIB)))


def called_tensor(path: Path) -> None:
    _saved(path, lambda content: content["logging"].update(x=Call(torch.Tensor, 1 << 15, 1 << 15)))


def huge_number_kind(path: Path) -> None:
    kind = Call(np.dtype, f"V{GIB}")
    scalar = (getattr(np, "_core", None) or np.core).multiarray.scalar
    _saved(path, lambda content: content["logging"].update(x=Call(scalar, kind)))


def _with_pickle(path: Path, content: bytes) -> None:
    _saved(path, lambda _content: None)
    _repacked(path, lambda name, old: content if name.endswith("data.pkl") else old)


def endless_dictionaries(path: Path) -> None:
    _with_pickle(path, b"\x80\x02(" + b"}" * (12 << 20) + b"t.")


def endless_pickle(path: Path) -> None:
    _with_pickle(path, b"\x80\x02" + pickle.BINUNICODE + struct.pack("<I", 40 << 20) + b"x" * (40 << 20) + b".")


def far_memo(path: Path) -> None:
    _with_pickle(path, b"\x80\x02}r\xff\xff\xff\x7f.")


def laughing_plans(path: Path) -> None:
    """Plans that hold one list a billion times."""
    laugh: list[Any] = ["ha" * 100]
    for _ in range(20):
        laugh = [laugh] * 8
    _saved(path, lambda content: content["init_args"]["plans"].update(remarks=laugh))


def laughing_names(path: Path) -> None:
    laugh: list[Any] = ["ha" * 100]
    for _ in range(20):
        laugh = [laugh] * 8
    _saved(path, lambda content: content.update(trainer_name=laugh))


CHECKPOINTS: dict[str, tuple[Callable[[Path], None], str]] = {
    make.__name__: (make, word)
    for make, word in (
        (repeated_numbers, f"'{WEIGHT}' repeats"),
        (spread_numbers, f"'{WEIGHT}' is spread"),
        (claimed_storage, f"'{WEIGHT}' claims a storage of {4 * GIB} bytes"),
        (compressed_zeros, f"'{WEIGHT}' has no data that can be read: its 'data/"),
        (superfluous_weight, "'extra.weight' is not part of the network"),
        (old_format, f"claims a storage of {4 * GIB} bytes, of which the file has "),
        (called_bytearray, "bytearray"),
        (called_tensor, "torch.Tensor"),
        (huge_number_kind, f"V{GIB}"),
        (endless_dictionaries, "steps"),
        (endless_pickle, "data.pkl"),
        (far_memo, "network_weights"),
        (laughing_plans, "init_args.plans"),
        (laughing_names, "trainer_name"),
    )
}
"""Each with a word that the refusal must have."""
