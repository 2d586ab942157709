"""A display for Slicer: the one that is there, or an Xvfb of our own."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

SCREEN = "1920x1200x24"
_START_S = 30.0


class NoDisplay(Exception):
    """There is no display, and none can be made."""


@contextmanager
def display(*, always_own: bool = False) -> Iterator[str]:
    """Give the processes that are started meanwhile a display.

    Args:
        always_own: Use an Xvfb of our own even where there is a display.

    Yields:
        The value of DISPLAY; empty where the system needs none.

    Raises:
        NoDisplay: An Xvfb is needed, and is not there or does not start.
    """
    present = os.environ.get("DISPLAY", "")
    if sys.platform != "linux" or (present and not always_own):
        yield present
        return
    program = shutil.which("Xvfb")
    if program is None:
        raise NoDisplay("There is no display. Set DISPLAY, or install Xvfb (Debian and Ubuntu: apt install xvfb).")
    ours, theirs = os.pipe()
    # 96 dots per inch as on a desktop: Xvfb's own 100 make all texts wider.
    command = [program, "-displayfd", str(theirs), "-screen", "0", SCREEN, "-dpi", "96", "-nolisten", "tcp"]
    server = subprocess.Popen(
        command, pass_fds=(theirs,), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(theirs)
    try:
        name = f":{_number_from(ours)}"
        with mock.patch.dict(os.environ, {"DISPLAY": name}):
            yield name
    finally:
        os.close(ours)
        _end(server)


def _number_from(pipe: int) -> str:
    ready, _, _ = select.select([pipe], [], [], _START_S)
    number = os.read(pipe, 20).decode().strip() if ready else ""
    if not number:
        raise NoDisplay(f"Xvfb did not start within {_START_S:.0f} s. Set DISPLAY, or start Xvfb yourself.")
    return number


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
