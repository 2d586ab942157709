"""Zip files from strangers: checked whole before the first byte is written."""

from __future__ import annotations

import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from lnsegfm.base.errors import UserError

MAXIMUM_ENTRIES = 2_000
MAXIMUM_BYTES = 16 * 1024**3
_BLOCK = 1 << 20
_LONGEST_NAME = 255


def extract_zip(source: Path, target: Path) -> None:
    """Extract ``source`` into the existing empty folder ``target``.

    Raises:
        UserError: Not a zip, damaged, encrypted, compressed by another method than deflate, too many or too large
            entries, a link, or an entry that would be written outside ``target``. The message names the entry.
    """
    with _opened(source) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        _check(source, entries)
        for entry in entries:
            path = target.joinpath(*PurePosixPath(entry.filename).parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as reader, open(path, "xb") as writer:
                # An entry that lies about its size does no harm: zipfile hands out no more than was claimed.
                shutil.copyfileobj(reader, writer, _BLOCK)


@contextmanager
def _opened(source: Path) -> Iterator[zipfile.ZipFile]:
    todo = "Download or copy the file again."
    try:
        with zipfile.ZipFile(source) as archive:
            yield archive
    except (zipfile.BadZipFile, EOFError, ValueError, struct.error, zlib.error) as error:
        # Damage shows as any of these, depending on the byte it hit.
        raise UserError(f"{source.name} is not a readable zip file.", f"{error}.", todo) from error
    except (RuntimeError, NotImplementedError) as error:
        raise _refusal(source, f"{error}.") from error
    except FileExistsError as error:
        raise _refusal(source, f"It holds {Path(error.filename).name} twice.") from error
    except NotADirectoryError as error:
        raise _refusal(source, f"'{Path(error.filename).name}' lies in something that is no folder.") from error


def _check(source: Path, entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > MAXIMUM_ENTRIES:
        raise _refusal(source, f"It holds {len(entries)} files; at most {MAXIMUM_ENTRIES} are accepted.")
    if sum(entry.file_size for entry in entries) > MAXIMUM_BYTES:
        raise _refusal(source, f"It unpacks to more than {MAXIMUM_BYTES // 1024**3} GB.")
    for entry in entries:
        name = entry.filename
        # A colon names a drive or an alternate stream on Windows, even in the middle of a path.
        if name.startswith("/") or "\\" in name or ":" in name:
            raise _refusal(source, f"The entry '{name}' has an absolute or Windows path.")
        if ".." in PurePosixPath(name).parts:
            raise _refusal(source, f"The entry '{name}' points outside the folder.")
        if max(len(part.encode()) for part in (*PurePosixPath(name).parts, "")) > _LONGEST_NAME:
            raise _refusal(source, f"The name of the entry '{name[:40]}...' is too long.")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _refusal(source, f"The entry '{name}' is compressed by an unusual method.")
        mode = entry.external_attr >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            raise _refusal(source, f"The entry '{name}' is a link or a special file.")


def _refusal(source: Path, why: str) -> UserError:
    return UserError(f"{source.name} was refused.", why, "Nothing was installed. Ask its provider for a plain zip.")
