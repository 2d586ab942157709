"""Zip files from strangers: checked whole before the first byte is written, and unpacked only as far as is needed."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from lnsegfm.base import disk
from lnsegfm.base.errors import UserError
from lnsegfm.base.files import open_regular
from lnsegfm.base.wording import data_size

# A results folder keeps the predictions of all training cases.
MAXIMUM_ENTRIES = 100_000
MAXIMUM_BYTES = 16 * 1024**3
_LARGEST_DIRECTORY = 32 << 20
_BLOCK = 1 << 20
_LONGEST_NAME = 255
# Weights hardly become smaller; what shrinks to less than a twentieth is made to grow.
_LARGEST_RATIO = 20
_SMALL = 4 << 20


class ZipContent:
    """The files in an opened zip file whose names and kinds were checked; see `opened_zip`.

    Args:
        source: The zip file, for messages.
        archive: The same, opened.
        entries: Its files by path.
    """

    def __init__(self, source: Path, archive: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo]) -> None:
        self._source, self._archive, self._entries = source, archive, entries

    @property
    def names(self) -> list[str]:
        """Paths of the files in it, with ``/`` between folders and without ``.``."""
        return list(self._entries)

    def size(self, name: str) -> int:
        """Bytes of a file once it is unpacked, as the zip file says; more are never unpacked."""
        return self._entries[name].file_size

    def check_size(self, name: str, most: int) -> None:
        """Refuse a file that is larger than ``most`` bytes, or is compressed as only a trap is.

        Raises:
            UserError: It is; the message names the file.
        """
        entry = self._entries[name]
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _refusal(self._source, f"The entry '{name[:_LONGEST_NAME]}' is compressed by an unusual method.")
        if entry.file_size > most:
            size, limit = data_size(entry.file_size), data_size(most)
            why = f"The entry '{name[:_LONGEST_NAME]}' unpacks to {size}; at most {limit} are needed."
            raise _refusal(self._source, why)
        if entry.file_size > _SMALL and entry.file_size > _LARGEST_RATIO * entry.compress_size:
            packed, size = data_size(entry.compress_size), data_size(entry.file_size)
            why = f"The entry '{name[:_LONGEST_NAME]}' unpacks from {packed} to {size}, as no weights do."
            raise _refusal(self._source, why)

    def read(self, name: str, most: int) -> bytes:
        """Return the content of a file of at most ``most`` bytes.

        Raises:
            UserError: See `check_size`.
        """
        self.check_size(name, most)
        with self._archive.open(self._entries[name]) as reader:
            return reader.read()

    def extract(self, name: str, path: Path, most: int) -> None:
        """Write a file of at most ``most`` bytes to ``path``, which must not exist.

        Raises:
            UserError: See `check_size`.
        """
        self.check_size(name, most)
        self._write(self._entries[name], path)

    def _write(self, entry: zipfile.ZipInfo, path: Path) -> None:
        disk.make_folder(path.parent)
        disk.reached("write", path)
        with self._archive.open(entry) as reader, open(path, "xb") as writer:
            # An entry that lies about its size does no harm: zipfile hands out no more than was claimed.
            while block := reader.read(_BLOCK):
                writer.write(block)


@contextmanager
def opened_zip(source: Path) -> Iterator[ZipContent]:
    """Open a zip file and check what it says of its files; nothing is unpacked.

    Raises:
        UserError: Not a zip, damaged, encrypted, too many files, a link, a name that points out of the folder or that
            two files have. The message names the entry. The block raises it as well where it meets damage.
    """
    with _damage_told(source), open_regular(source) as stream, bounded_zip(stream) as archive:
        yield ZipContent(source, archive, _checked(source, archive.infolist()))


def extract_zip(source: Path, target: Path) -> None:
    """Extract all of ``source`` into the existing empty folder ``target``.

    Raises:
        UserError: See `opened_zip`; or compressed by another method than deflate, or larger than `MAXIMUM_BYTES`.
    """
    with opened_zip(source) as content:
        if sum(map(content.size, content.names)) > MAXIMUM_BYTES:
            raise _refusal(source, f"It unpacks to more than {MAXIMUM_BYTES // 1024**3} GB.")
        for name in content.names:
            content.check_size(name, MAXIMUM_BYTES)
        for name in content.names:
            content.extract(name, target.joinpath(*PurePosixPath(name).parts), MAXIMUM_BYTES)


@contextmanager
def bounded_zip(stream: BinaryIO) -> Iterator[zipfile.ZipFile]:
    """Open a zip file without taking more memory for its directory than any of ours needs.

    Raises:
        zipfile.BadZipFile: Not a zip, or its directory is too large; and whatever damage raises.
    """
    with zipfile.ZipFile(cast(BinaryIO, _Bounded(stream))) as archive:
        yield archive


class _Bounded:
    """A file of which nobody reads much at once: zipfile reads the whole directory of a zip file in one go."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.seek, self.tell, self.seekable = stream.seek, stream.tell, stream.seekable

    def read(self, count: int = -1) -> bytes:
        if count > _LARGEST_DIRECTORY:
            raise zipfile.BadZipFile("its directory is too large")
        content = self._stream.read(count if count >= 0 else _LARGEST_DIRECTORY + 1)
        if len(content) > _LARGEST_DIRECTORY:
            raise zipfile.BadZipFile("its directory is too large")
        return content


@contextmanager
def _damage_told(source: Path) -> Iterator[None]:
    todo = "Download or copy the file again."
    try:
        yield
    except (zipfile.BadZipFile, EOFError, ValueError, struct.error, zlib.error) as error:
        # Damage shows as any of these, depending on the byte it hit.
        raise UserError(f"{source.name} is not a readable zip file.", f"{error}.", todo) from error
    except (RuntimeError, NotImplementedError) as error:
        raise _refusal(source, f"{error}.") from error
    except (FileExistsError, NotADirectoryError) as error:
        name = Path(error.filename).name
        raise _refusal(source, f"'{name}' lies in something that is no folder.") from error


def _checked(source: Path, infos: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    entries = [entry for entry in infos if not entry.filename.endswith("/")]
    if len(entries) > MAXIMUM_ENTRIES:
        raise _refusal(source, f"It holds {len(entries)} files; at most {MAXIMUM_ENTRIES} are accepted.")
    found: dict[str, zipfile.ZipInfo] = {}
    for entry in entries:
        name = entry.filename
        # A colon names a drive or an alternate stream on Windows, even in the middle of a path.
        if name.startswith("/") or "\\" in name or ":" in name:
            raise _refusal(source, f"The entry '{name[:_LONGEST_NAME]}' has an absolute or Windows path.")
        parts = PurePosixPath(name).parts
        if ".." in parts or not parts:
            raise _refusal(source, f"The entry '{name[:_LONGEST_NAME]}' points outside the folder.")
        if max(len(part.encode(errors="surrogatepass")) for part in parts) > _LONGEST_NAME:
            raise _refusal(source, f"The name of the entry '{name[:40]}...' is too long.")
        if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
            raise _refusal(source, f"The entry '{name[:_LONGEST_NAME]}' is a link or a special file.")
        path = "/".join(parts)
        if path in found:
            raise _refusal(source, f"It holds {name[:_LONGEST_NAME]} twice.")
        found[path] = entry
    return found


def _refusal(source: Path, why: str) -> UserError:
    return UserError(f"{source.name} was refused.", why, "Nothing was installed. Ask its provider for a plain zip.")
