"""The headless command ``lnsegfm``."""

from __future__ import annotations

import signal
import sys

from lnsegfm.base.reasons.missing_packages import missing_package
from lnsegfm.base.stopping import Stopped, signal_name, stoppable
from lnsegfm.cli.output.streams import prepared_streams

_OF_THE_COMMAND_LINE = ("typer", "click", "rich", "shellingham")


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: The words after ``lnsegfm``; those of this process by default.

    Returns:
        The exit code: 0 done, 1 refused or failed, 2 wrong usage, 130 cancelled or Ctrl-C, 143 SIGTERM, 129 SIGHUP.
    """
    with prepared_streams(), stoppable() as stop:
        try:
            code = _run(sys.argv[1:] if arguments is None else arguments)
        except Stopped as error:  # while the program was loaded
            print(f"lnsegfm: cancelled by {signal_name(error.number)}", file=sys.stderr)
            code = 128 + error.number
        if arguments is None and stop.number is not None:
            # Who is impatient presses it again; what Python would say to that at its end helps nobody.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    return code


def _run(arguments: list[str]) -> int:
    try:
        from lnsegfm.cli.app import run
    except ImportError as error:
        problem = missing_package(error)
        if problem is None:
            raise
        # Slicer's modules use the same library and do without the command line's packages.
        name = (error.name or "").partition(".")[0]
        text = f"The command line needs the Python package {name}. Type: pip install typer"
        print(f"lnsegfm: {text if name in _OF_THE_COMMAND_LINE else problem}", file=sys.stderr)
        return 1
    return run(arguments)
