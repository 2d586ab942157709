"""The ways in which a JSON file of a store can be damaged."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def _written(content: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(content)

    return write


def _torn(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def _folder(path: Path) -> None:
    path.unlink()
    (path / "inside").mkdir(parents=True)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGE: dict[str, Callable[[Path], None]] = {
    "empty": _written(b""), "torn": _torn, "NUL bytes": _written(b"\0" * 512), "a list": _written(b"[]"),
    "a text": _written(b'"text"'), "nested deeply": _written(b"[" * 100_000), "not UTF-8": _written(b'{"a": "\xff"}'),
    "a folder": _folder, "gone": Path.unlink,
}  # fmt: skip
"""By name: damages the file at a path. None of them makes reading it wait."""
if hasattr(os, "mkfifo"):
    DAMAGE["a pipe"] = _pipe
