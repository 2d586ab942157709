"""Commands that still parse their options with argparse, as commands of the app."""

from __future__ import annotations

import argparse
import importlib

import typer

from lnsegfm.cli.terminal import PlainCommand


def register_argparse(app: typer.Typer, name: str, module: str, help_text: str) -> None:
    """Register a command whose module has ``add_to(subparsers)``; it is imported when the command runs.

    Args:
        app: Where it is registered.
        name: The command.
        module: Its module.
        help_text: What it does, for the list of commands.
    """

    def command(context: typer.Context) -> None:
        parser = argparse.ArgumentParser(prog="lnsegfm")
        importlib.import_module(module).add_to(parser.add_subparsers())
        options = parser.parse_args([name, *context.args])
        options.run(options)

    settings = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
    app.command(name, cls=PlainCommand, help=help_text, context_settings=settings, rich_help_panel=None)(command)
