"""What all commands share: the options that each of them has, and what is printed where.

Results go to stdout, everything else to stderr. With ``--json`` stdout holds one JSON document and nothing more.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from lnsegfm.base.wording import printable
from lnsegfm.session import Session

HOME_VARIABLE = "LNSEGFM_HOME"


@dataclass
class Terminal:
    """How the user wants to be told.

    Args:
        as_json: Print one JSON document.
        quiet: Print lists, warnings and errors alone.
    """

    as_json: bool = False
    quiet: bool = False


terminal = Terminal()
"""Of the command that runs now."""


@contextmanager
def fresh_terminal() -> Iterator[None]:
    """Begin a command with the default choices, and undo its choice of a home afterwards."""
    terminal.as_json = terminal.quiet = False
    before = os.environ.get(HOME_VARIABLE)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(HOME_VARIABLE, None)
        else:
            os.environ[HOME_VARIABLE] = before


@contextmanager
def open_session() -> Iterator[Session]:
    """Yield the session of the chosen home; its worker process ends with the block."""
    with Session() as session:
        yield session


# The options that each command has


def _choose_home(folder: str) -> None:
    if folder:
        # The processes of jobs and of networks inherit it.
        os.environ[HOME_VARIABLE] = folder


def _choose_quiet(wanted: bool) -> None:
    terminal.quiet = terminal.quiet or wanted


def _choose_json(wanted: bool) -> None:
    terminal.as_json = terminal.as_json or wanted


def _common(
    home: Annotated[
        str, typer.Option(
            "--home", metavar="FOLDER", callback=_choose_home, expose_value=False, show_default=False,
            help=f"Folder of models, cases and jobs. [default: {HOME_VARIABLE}, or the user's data folder]",
        ),
    ] = "",
    quiet: Annotated[
        bool, typer.Option(
            "--quiet", "-q", callback=_choose_quiet, expose_value=False, help="Print lists, warnings and errors alone."
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", callback=_choose_json, expose_value=False, help="Print one JSON document.")
    ] = False,
) -> None:
    """Only its parameters are of use: typer makes them, and each command gets them."""
    raise NotImplementedError


def _common_options() -> list[Any]:
    maker = typer.Typer(add_completion=False)
    maker.command()(_common)
    return list(typer.main.get_command(maker).params)


# Longer than any first sentence: in lists of commands nothing is cut off.
_WHOLE = 500


class Command(TyperCommand):
    """A command with the options that all have, before or after its arguments."""

    def __init__(self, *args: Any, params: Any = None, **options: Any) -> None:
        super().__init__(*args, params=[*(params or []), *_common_options()], **options)

    def get_short_help_str(self, limit: int = _WHOLE) -> str:
        """Return what the list of commands says of it."""
        return super().get_short_help_str(max(limit, _WHOLE))


class Group(TyperGroup):
    """A noun with its verbs; it takes the same options before the verb, and lists verbs as they were defined."""

    order: Sequence[str] = ()
    """Commands that come first in the list, in this order."""

    def __init__(self, *args: Any, params: Any = None, **options: Any) -> None:
        super().__init__(*args, params=[*(params or []), *_common_options()], **options)

    def get_short_help_str(self, limit: int = _WHOLE) -> str:
        """Return what the list of commands says of it."""
        return super().get_short_help_str(max(limit, _WHOLE))

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands in the order of the help."""
        names = super().list_commands(ctx)
        return sorted(names, key=lambda name: self.order.index(name) if name in self.order else len(self.order))


def examples(*lines: str) -> str:
    """Return an epilog with examples, one a line."""
    return "Examples:\n\n\b\n" + "\n".join(f"  {line}" for line in lines)


def noun(name_help: str, *example_lines: str, **options: Any) -> typer.Typer:
    """Return the app of a noun, to which its file adds the verbs."""
    return typer.Typer(
        cls=Group, help=name_help, epilog=examples(*example_lines), rich_markup_mode=None, add_completion=False,
        no_args_is_help=True, **options,
    )  # fmt: skip


# Printing


def say(text: str) -> None:
    """Tell something that is no result; not when the user wants quiet."""
    if not terminal.quiet:
        print(text, file=sys.stderr if terminal.as_json else sys.stdout, flush=True)


def note(text: str) -> None:
    """Tell something beside the results, on stderr; not when the user wants quiet."""
    if not terminal.quiet:
        print(text, file=sys.stderr, flush=True)


def warn(text: str) -> None:
    """Tell on stderr what the user must not miss, also when quiet is wanted."""
    print(text, file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """Print the one JSON document of a command."""
    # Names with bytes that are not UTF-8 would make the document unreadable, and so would replaced characters.
    document = printable(json.dumps(value, indent=2, ensure_ascii=False))
    try:
        document.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        document = json.dumps(value, indent=2)
    print(document, flush=True)


def print_result(value: dict[str, Any], text: str) -> None:
    """Print the result of a command that changed something: as JSON, or as a sentence unless quiet is wanted."""
    if terminal.as_json:
        print_json(value)
    else:
        say(text)


def print_table(rows: Sequence[dict[str, Any]], columns: dict[str, str], *, empty: str) -> None:
    """Print a list: as JSON with all keys of each row, or as a table with headers.

    Args:
        rows: One dictionary an entry; all have the same keys.
        columns: Header by key, of the columns of the table.
        empty: What is said, on stderr, when there are no rows.
    """
    if terminal.as_json:
        print_json(list(rows))
        return
    if not rows:
        note(empty)
        return
    lines = [list(columns.values()), *([_cell(row[key]) for key in columns] for row in rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}"
    return str(value)
