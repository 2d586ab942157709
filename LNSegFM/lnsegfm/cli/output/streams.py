"""Standard output and error that any terminal can show, and that say what is wrong when they cannot be written."""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from lnsegfm.base.errors import UserError
from lnsegfm.base.reasons.os_errors import words_of

_HANDLER = "lnsegfm.plain"
# What is shown where the terminal has no such character.
_PLAIN = {
    "²": "^2", "³": "^3", "µ": "u", "μ": "u", "×": "x", "·": "*", "±": "+-", "≤": "<=", "≥": ">=", "→": "->",
    "°": " deg", "–": "-", "—": "-", "…": "...", "‘": "'", "’": "'", "γ": "gamma", "η": "eta", "✓": "ok",
    "“": '"', "”": '"', "\u00a0": " ", "\u202f": " ", "\u2009": " ",
}


class OutputError(UserError):
    """What a command has to print cannot be written to its standard output."""


def _plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    parts = (_PLAIN.get(each) or each.encode("ascii", "backslashreplace").decode()
             for each in error.object[error.start : error.end])  # fmt: skip
    return "".join(parts), error.end


codecs.register_error(_HANDLER, _plainly)


class _Output(io.TextIOWrapper):
    """Standard output; a closed pipe raises `BrokenPipeError`, everything else `OutputError`."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _failure(error) from error

    def flush(self) -> None:
        try:
            super().flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _failure(error) from error


class _Words(io.TextIOWrapper):
    """Standard error: that nobody can read the words any more does not keep the work from its end."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError:
            _send_nowhere(self)
        return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError:
            _send_nowhere(self)


class _Closed(io.RawIOBase):
    """What is there in place of a standard output that was closed before the program began."""

    def writable(self) -> bool:
        return True

    def write(self, block: Any) -> int:
        raise OSError("It is closed")


def _failure(error: OSError) -> OutputError:
    words = words_of(error)
    why = f"{error.strerror or error}."
    return OutputError(
        "The output could not be printed.", f"{words[0]} {why}" if words else why,
        "The command may have done its work: see what is there before you give it again, with an output that can be "
        "written.",
    )  # fmt: skip


@contextmanager
def prepared_streams() -> Iterator[None]:
    """Prepare standard output and error for the block; streams that the caller has put in their place stay.

    Characters that the terminal's encoding lacks are replaced; names that are not UTF-8 are shown with ``\\udcNN``.
    """
    _reserve_handles()
    before = sys.stdout, sys.stderr
    own: list[io.TextIOWrapper] = []
    if sys.stdout is None or sys.stdout is sys.__stdout__:
        sys.stdout = _made(_Output, sys.stdout, own)
    if sys.stderr is None or sys.stderr is sys.__stderr__:
        sys.stderr = _made(_Words, sys.stderr, own)
    try:
        yield
    finally:
        for stream in own:
            _let_go(stream)
        sys.stdout, sys.stderr = before


def discard_output() -> None:
    """Send what is still to be written to standard output nowhere; Python would flush it once more at its end."""
    _send_nowhere(sys.stdout)


def _send_nowhere(stream: TextIO) -> None:
    with suppress(OSError, ValueError, AttributeError):
        handle = stream.fileno()
        target = os.open(os.devnull, os.O_WRONLY)
        os.dup2(target, handle)
        os.close(target)


def _reserve_handles() -> None:
    """Fill the places of closed standard streams; the next file that is opened would get their number."""
    for handle in range(3):
        try:
            os.fstat(handle)
        except OSError:
            with suppress(OSError):
                opened = os.open(os.devnull, os.O_RDWR)  # the lowest free number
                if opened != handle:
                    os.dup2(opened, handle)
                    os.close(opened)
                os.set_inheritable(handle, True)


def _made(kind: type[io.TextIOWrapper], stream: TextIO | None, own: list[io.TextIOWrapper]) -> TextIO:
    buffer: Any = getattr(stream, "buffer", None)
    if stream is not None and buffer is None:
        return stream
    if stream is None:
        made = kind(io.BufferedWriter(_Closed()), encoding="utf-8", errors=_HANDLER)
    else:
        stream.flush()
        made = kind(
            buffer, encoding=stream.encoding, errors=_HANDLER, line_buffering=getattr(stream, "line_buffering", False),
            write_through=getattr(stream, "write_through", False),
        )
    own.append(made)
    return made


def _let_go(stream: io.TextIOWrapper) -> None:
    """Leave the buffer, which others use as well, without closing it with its wrapper."""
    for _ in range(2):
        try:
            stream.detach()
            return
        except OutputError:
            discard_output()
        except (OSError, ValueError):
            return
