"""Atomic files and folders: what is seen on disk is either complete or not there."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import shutil
import stat
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from lnsegfm.base import disk
from lnsegfm.base.errors import UserError
from lnsegfm.base.stopping import undisturbed

LARGEST_JSON = 64 << 20
"""Bytes of the largest JSON file that is read."""


def write_atomic(
    path: Path, write: Callable[[Path], object], *, check: Callable[[Path], object] = lambda temporary: None
) -> None:
    """Let ``write`` produce a temporary file beside ``path`` and move it into place when it is on the disk.

    The temporary name keeps the suffixes of ``path``, because image writers choose their format by it.

    Args:
        path: The file; what was there before stays when anything fails.
        write: Writes the temporary file; raises where it could not.
        check: Raises where what was written is not whole, for writers that do not say so themselves.
    """
    path = Path(path)
    disk.make_folder(path.parent)
    temporary = path.with_name(f".tmp-{uuid.uuid4().hex[:8]}-{path.name}")
    try:
        disk.reached("write", temporary)
        write(temporary)
        disk.sync_file(temporary)
        check(temporary)
        disk.replace(temporary, path)
    except OSError as error:
        # A write or a flush that fails does not say of which file.
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise
    finally:
        with undisturbed():
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, atomically."""
    write_atomic(path, lambda temporary: temporary.write_bytes(text.encode("utf-8")))


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as readable JSON, atomically.

    Raises:
        ValueError: It holds a number that is not finite, which JSON does not know.
    """
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading, and refuse what is none: a pipe would wait for ever, a device may never end.

    Raises:
        OSError: It is not there, cannot be read, or is no regular file.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "It is no regular file", str(path))
        return open(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_json(path: Path) -> Any:
    """Read a UTF-8 JSON file from whomever.

    Raises:
        OSError: It cannot be read, or is no regular file.
        ValueError: It is not JSON, torn, nested too deeply, larger than `LARGEST_JSON`, or holds a number that is not
            finite.
    """
    with open_regular(path) as stream:
        content = stream.read(LARGEST_JSON + 1)
    if len(content) > LARGEST_JSON:
        raise ValueError(f"it is larger than {LARGEST_JSON >> 20} MiB")
    return parse_json(content)


def parse_json(content: str | bytes) -> Any:
    """Return what a JSON text, UTF-8 where it is bytes, says; raises `ValueError` as `read_json`."""
    try:
        text = content.decode("utf-8") if isinstance(content, bytes) else content
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"it holds {name}, which is no number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"it holds {text}, which is no finite number")
    return number


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


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``target`` that becomes ``target`` when the block ends without an error.

    Raises:
        FileExistsError: ``target`` exists already.
    """
    target = Path(target)
    disk.make_folder(target.parent)
    if target.exists():
        raise FileExistsError(target)
    staging = Path(tempfile.mkdtemp(prefix=".tmp-", dir=target.parent))
    try:
        yield staging
        disk.sync_tree(staging)
        disk.replace(staging, target)
    finally:
        with undisturbed():
            shutil.rmtree(staging, ignore_errors=True)
