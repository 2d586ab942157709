"""The app: all commands, and the way from the words on the command line to an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from lnsegfm import NOTICE, __version__
from lnsegfm.base.errors import Cancelled
from lnsegfm.base.failures import explained
from lnsegfm.base.stopping import Stopped, signal_name, stoppable
from lnsegfm.base.wording import without_temporary
from lnsegfm.cli import (
    adapt_command,
    benchmark_command,
    case_commands,
    doctor_command,
    evaluate_command,
    import_command,
    job_commands,
    measure_command,
    model_commands,
    pretrain_command,
    segment_command,
)
from lnsegfm.cli.following import CANCELLED
from lnsegfm.cli.output.streams import OutputError, discard_output
from lnsegfm.cli.output.unexpected import tell_unexpected
from lnsegfm.cli.terminal import Group, examples, fresh_terminal

NAME = "lnsegfm"
# What a wrong command line is, in typer as in the click below older versions of it.
_USAGE_ERROR: type[Any] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "UsageError")


class Root(Group):
    """The command itself; in the order of the work."""

    order = (
        "models", "cases", "segment", "measure", "adapt", "jobs", "evaluate", "import", "pretrain", "benchmark",
        "doctor",
    )


app = typer.Typer(
    name=NAME, cls=Root, rich_markup_mode=None, no_args_is_help=True, pretty_exceptions_enable=False,
    help=f"Lymph node segmentation in CT and few-shot adaptation. {NOTICE}",
    epilog=examples(
        "lnsegfm models list", "lnsegfm cases import nnUNet_raw/Dataset501_Ours", "lnsegfm adapt --dry-run",
        "lnsegfm jobs list --json",
    ),
)  # fmt: skip


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"{NAME} {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    del version


# Whatever imports more than the session does so when its command runs; torch is left to other processes.
segment_command.register(app)
measure_command.register(app)
app.add_typer(model_commands.app, name="models")
app.add_typer(case_commands.app, name="cases")
adapt_command.register(app)
app.add_typer(job_commands.app, name="jobs")
evaluate_command.register(app)
app.add_typer(import_command.app, name="import")
pretrain_command.register(app)
benchmark_command.register(app)
doctor_command.register(app)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code, see `lnsegfm.cli.main`.

    Args:
        arguments: The words after ``lnsegfm``.
    """
    command = typer.main.get_command(app)
    if f"_{NAME.upper()}_COMPLETE" in os.environ:
        command.main(prog_name=NAME)  # the shell asks for completions
    with stoppable() as stop, fresh_terminal():
        try:
            code = _invoke(command, list(arguments))
            sys.stdout.flush()
        except BrokenPipeError:
            # Whoever read the output has seen enough, as `head` has.
            discard_output()
            return 0
        except OutputError as error:
            discard_output()
            print(f"{NAME}: {error}", file=sys.stderr)
            return 1
        # A command that says itself what goes on without it does not know which signal came.
        return stop.exit_code or code if code == CANCELLED else code


def _invoke(command: Any, arguments: list[str]) -> int:
    try:
        # Not `command.main()`: it makes errors of closed pipes and of Ctrl-C its own.
        with command.make_context(NAME, arguments) as context:
            command.invoke(context)
    except typer.Exit as ended:
        return ended.exit_code
    except _USAGE_ERROR as error:
        error.show()
        return 2
    except (Cancelled, KeyboardInterrupt, typer.Abort) as error:
        print(f"{NAME}: {_cancelled(error)}", file=sys.stderr)
        return CANCELLED
    except (BrokenPipeError, OutputError):
        raise
    except Exception as error:  # the boundary of the program: no traceback for a user
        problem = explained(error)
        if problem is not None:
            print(f"{NAME}: {without_temporary(str(problem))}", file=sys.stderr)
        else:
            tell_unexpected(error)
        return 1
    return 0


def _cancelled(error: BaseException) -> str:
    if isinstance(error, Stopped):
        return f"cancelled by {signal_name(error.number)}; its temporary files are removed."
    return str(error) if isinstance(error, Cancelled) and str(error) else "cancelled"
