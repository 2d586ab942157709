"""The headless command ``lnsegfm``."""

from __future__ import annotations

import argparse
import os
import sys

from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.failures import as_user_error
from lnsegfm.cli import (
    adaptation_commands,
    benchmark_command,
    case_commands,
    evaluate_command,
    import_command,
    model_commands,
    pretrain_command,
    segment_command,
)

NOTICE = "Research software, not a medical device."


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the exit status: 0 done, 1 refused or failed, 130 cancelled."""
    parser = argparse.ArgumentParser(
        prog="lnsegfm", description=f"Lymph node segmentation in CT and few-shot adaptation. {NOTICE}"
    )
    parser.add_argument("--home", help="folder of models, cases and jobs (default: LNSEGFM_HOME or the user's data)")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for part in (
        segment_command, model_commands, case_commands, adaptation_commands, evaluate_command, import_command,
        pretrain_command, benchmark_command,
    ):
        part.add_to(commands)
    options = parser.parse_args(arguments)
    if options.home:
        # The job's process inherits it.
        os.environ["LNSEGFM_HOME"] = options.home
    try:
        options.run(options)
    except (Cancelled, KeyboardInterrupt):
        print("lnsegfm: cancelled", file=sys.stderr)
        return 130
    except (UserError, OSError, RuntimeError, MemoryError) as error:
        print(f"lnsegfm: {as_user_error(error)}", file=sys.stderr)
        return 1
    return 0
