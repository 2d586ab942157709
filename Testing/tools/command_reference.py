"""``python -m command_reference``: write docs/reference/command-line.md from the commands' own help."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer

from lnsegfm.cli.app import NAME, app

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "command-line.md"
# Every command has these; they are described once, at the top.
COMMON = ("--home", "--quiet", "--json", "--help")
HEAD = f"""# Command line

<!-- made by `make reference`; change the help of the commands instead -->

`{NAME} COMMAND --help` prints what is below. `pip install -e '.[cli]'` installs the command, and `[cli,research]` what
`import`, `pretrain` and `benchmark` need. What it returns is in [exit codes](exit-codes.md); the environment variables
that it knows are in [settings](settings.md).

Ids of models, cases and jobs can be shortened to any beginning that only one id has.

Options of every command, before or after its arguments:

* `--home FOLDER`: Folder of models, cases and jobs. [default: LNSEGFM_HOME, or the user's data folder]
* `-q, --quiet`: Print lists and errors only.
* `--json`: Print one JSON document on stdout, and everything else on stderr; where the command lists it under *JSON*.
* `--help`: Show the help and exit.

"""


def reference() -> str:
    """Return the page."""
    command = typer.main.get_command(app)
    context = command.make_context(NAME, [], resilient_parsing=True)
    sections = ["\n".join(_section(each, inner)) for each, inner in _commands(command, context)]
    return HEAD + "\n\n".join(sections) + "\n"


def _commands(group: Any, context: Any) -> Iterator[tuple[Any, Any]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        inner = command.context_class(command, info_name=name, parent=context)
        yield command, inner
        if hasattr(command, "list_commands"):
            yield from _commands(command, inner)


def _section(command: Any, context: Any) -> Iterator[str]:
    depth = context.command_path.count(" ")
    yield f"{'#' * (depth + 1)} {context.command_path}"
    yield ""
    arguments = [_metavar(each) for each in command.params if not _is_option(each)]
    verb = ["COMMAND"] if hasattr(command, "list_commands") else []
    yield f"`{' '.join([context.command_path, '[OPTIONS]', *arguments, *verb])}`"
    yield ""
    yield from _paragraphs(command.help or "")
    lines = [_line(each, context) for each in command.params if not set(each.opts) & set(COMMON)]
    if any(lines):
        yield from (line for line in lines if line)
        yield ""
    yield from _epilog(command.epilog or "")


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in text.split("\n\n"):
        yield " ".join(paragraph.split())
        yield ""


def _line(parameter: Any, context: Any) -> str:
    record = parameter.get_help_record(context)
    if record is None:
        return ""
    names, text = record if _is_option(parameter) else (_metavar(parameter), record[1])
    return f"* `{names}`: {' '.join(text.split())}"


def _is_option(parameter: Any) -> bool:
    return parameter.opts[0].startswith("-")


def _metavar(argument: Any) -> str:
    return argument.metavar or argument.opts[0].upper()


def _epilog(text: str) -> Iterator[str]:
    """Write lines that keep their breaks, which begin with a backspace for click, as code."""
    for block in text.split("\n\n"):
        if block.startswith("\b"):
            yield from ("```", *(line[2:] for line in block.splitlines()[1:]), "```", "")
        elif block.strip():
            yield from (block.strip(), "")


def main(arguments: Iterable[str] = ()) -> int:
    """Write the page, or with ``--check`` only tell whether it is that of the code."""
    wanted = _tidy(reference())
    if "--check" in arguments:
        same = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == wanted
        if not same:
            print(f"{PAGE.name} is not what the commands say. Type: make reference", file=sys.stderr)
        return int(not same)
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(wanted, encoding="utf-8", newline="\n")
    return 0


def _tidy(text: str) -> str:
    lines = [line.rstrip() for line in text.splitlines()]
    kept = [line for number, line in enumerate(lines) if line or (number and lines[number - 1])]
    return "\n".join(kept).rstrip() + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
