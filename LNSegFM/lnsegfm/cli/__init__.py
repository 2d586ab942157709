"""The headless command ``lnsegfm``."""

from __future__ import annotations

import sys

_NEEDED = ("typer", "click", "rich", "shellingham")


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: The words after ``lnsegfm``; those of this process by default.

    Returns:
        The exit code: 0 done, 1 refused or failed, 2 wrong usage, 130 cancelled.
    """
    try:
        from lnsegfm.cli.app import run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _NEEDED:
            raise
        # Slicer's modules use the same library and do without it.
        print(f"lnsegfm: The command line needs the Python package {error.name}. Type: pip install typer",
              file=sys.stderr)
        return 1
    return run(sys.argv[1:] if arguments is None else arguments)
