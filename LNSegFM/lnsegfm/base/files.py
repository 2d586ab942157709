"""Atomic files and folders: what is seen on disk is either complete or not there."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lnsegfm.base.errors import UserError

_REPLACE_ATTEMPTS = 40
_ABANDONED_S = 24 * 3600.0


def replace(source: Path, target: Path) -> None:
    """Rename ``source`` over ``target``; on Windows, wait out a reader that holds ``target`` open for a moment."""
    for attempt in range(_REPLACE_ATTEMPTS):
        try:
            os.replace(source, target)
            return
        except PermissionError:
            if os.name != "nt" or attempt == _REPLACE_ATTEMPTS - 1:
                raise
            time.sleep(0.05)


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` produce a temporary file beside ``path`` and move it into place when it is on the disk.

    The temporary name keeps the suffixes of ``path``, because image writers choose their format by it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{uuid.uuid4().hex[:8]}-{path.name}")
    try:
        write(temporary)
        with open(temporary, "rb+") as stream:
            os.fsync(stream.fileno())
        replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, atomically."""
    write_atomic(path, lambda temporary: temporary.write_bytes(text.encode("utf-8")))


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as readable JSON, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a UTF-8 JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def check_writable(path: Path) -> None:
    """Find out before long work whether its result can be written to ``path``.

    Raises:
        UserError: The folder cannot be made or written to, or ``path`` is a folder itself.
    """
    if path.is_dir():
        raise UserError(f"{path.name} cannot be written.", "It is a folder.", "Choose the name of a file.")
    try:
        write_atomic(path.with_name(f".try-{path.name}"), Path.touch)
        path.with_name(f".try-{path.name}").unlink()
    except OSError as error:
        raise UserError(f"{path.name} cannot be written.", f"{error}.", "Choose another folder.") from error


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file as lower-case hex."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def sweep_abandoned(folder: Path) -> None:
    """Delete what killed processes left of unfinished work in ``folder``; nothing takes a day that works there."""
    for rest in folder.glob(".tmp-*"):
        with suppress(OSError):
            if time.time() - rest.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(rest) if rest.is_dir() else rest.unlink()


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``target`` that becomes ``target`` when the block ends without an error.

    Raises:
        FileExistsError: ``target`` exists already.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        raise FileExistsError(target)
    staging = Path(tempfile.mkdtemp(prefix=".tmp-", dir=target.parent))
    try:
        yield staging
        replace(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
