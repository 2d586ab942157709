"""Zip files from strangers: checked whole before the first byte is written."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath

from LNSegFMLib.core.errors import UserError

MAXIMUM_ENTRIES = 2_000
MAXIMUM_BYTES = 16 * 1024**3
_BLOCK = 1 << 20


def extract_zip(source: Path, target: Path) -> None:
    """Extract ``source`` into the existing empty folder ``target``.

    Raises:
        UserError: Not a zip, damaged, encrypted, too many or too large entries, a link, or an entry that would be
            written outside ``target``. The message names the entry.
    """
    with _opened(source) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        _check(source, entries)
        written = 0
        for entry in entries:
            path = target.joinpath(*PurePosixPath(entry.filename).parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as reader, open(path, "xb") as writer:
                while block := reader.read(_BLOCK):
                    # The sizes in a zip's directory are claims; what counts is what comes out.
                    written += len(block)
                    if written > MAXIMUM_BYTES:
                        raise _refusal(source, f"It unpacks to more than {MAXIMUM_BYTES // 1024**3} GB.")
                    writer.write(block)


@contextmanager
def _opened(source: Path) -> Iterator[zipfile.ZipFile]:
    todo = "Download or copy the file again."
    try:
        with zipfile.ZipFile(source) as archive:
            yield archive
    except (zipfile.BadZipFile, EOFError) as error:
        raise UserError(f"{source.name} is not a readable zip file.", f"{error}.", todo) from error
    except (RuntimeError, NotImplementedError) as error:
        raise _refusal(source, f"{error}.") from error
    except FileExistsError as error:
        raise _refusal(source, f"It holds {Path(error.filename).name} twice.") from error


def _check(source: Path, entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > MAXIMUM_ENTRIES:
        raise _refusal(source, f"It holds {len(entries)} files; at most {MAXIMUM_ENTRIES} are accepted.")
    if sum(entry.file_size for entry in entries) > MAXIMUM_BYTES:
        raise _refusal(source, f"It unpacks to more than {MAXIMUM_BYTES // 1024**3} GB.")
    for entry in entries:
        name = entry.filename
        windows = PureWindowsPath(name)
        if name.startswith("/") or windows.drive or windows.root or "\\" in name:
            raise _refusal(source, f"The entry '{name}' has an absolute or Windows path.")
        if ".." in PurePosixPath(name).parts:
            raise _refusal(source, f"The entry '{name}' points outside the folder.")
        mode = entry.external_attr >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            raise _refusal(source, f"The entry '{name}' is a link or a special file.")


def _refusal(source: Path, why: str) -> UserError:
    return UserError(f"{source.name} was refused.", why, "Nothing was installed. Ask its provider for a plain zip.")
