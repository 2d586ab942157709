"""The headless command ``lnsegfm``."""

from __future__ import annotations

import signal
import sys

from lnsegfm.base.errors import UserError
from lnsegfm.base.failures import as_user_error
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
    except Exception as error:  # no traceback for a user, also where the program cannot be loaded
        print(f"lnsegfm: {_problem(error)}", file=sys.stderr)
        return 1
    return run(arguments)


def _problem(error: Exception) -> UserError:
    # Slicer's modules use the same library and do without the command line's packages.
    name = (getattr(error, "name", None) or "").partition(".")[0]
    if isinstance(error, ImportError) and name in _OF_THE_COMMAND_LINE:
        return UserError(f"The command line needs the Python package {name}.", "", "Type: pip install typer")
    return as_user_error(error, "lnsegfm could not be loaded.")
