"""``lnsegfm doctor``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lnsegfm.base.wording import data_size
from lnsegfm.cli.output.progress_lines import ProgressLines
from lnsegfm.cli.terminal import Command, examples, note, open_session, print_json, print_table, say, terminal

if TYPE_CHECKING:
    from lnsegfm.session.doctor import Leftover


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "doctor", cls=Command,
        epilog=examples("lnsegfm doctor", "lnsegfm doctor --clear", "lnsegfm doctor --clear --trash"),
    )(doctor)


def doctor(
    clear: Annotated[bool, typer.Option("--clear", help="Delete what is listed, unless it is in use.")] = False,
    trash: Annotated[
        bool, typer.Option("--trash", help="Removed cases in the trash, too; once deleted, nothing restores them.")
    ] = False,
) -> None:
    """List what killed processes have left in the home, much of it of patients, or delete it.

    Without --clear nothing is changed. What a process is working with is never deleted, and what was changed a moment
    ago only once it is certain that nobody works with it any more.

    JSON: an object with cleared (whether --clear was given) and leftovers, a list of objects with kind (half-written,
    half-deleted, exchanged volumes, preprocessed volumes, abandoned download, removed case), path, bytes, patient_data
    (whether it can hold voxels of patients), state (found, deleted, kept) and reason (why it is or would be kept, or
    null).
    """
    from lnsegfm.session.doctor import REMOVED_CASE

    with open_session() as session, ProgressLines() as lines:
        if clear:
            cleared = session.doctor.clear(trash=trash, progress=lines.report)
            rows = [_row(each, "deleted") for each in cleared.gone] + [_row(each, "kept") for each in cleared.left]
        else:
            rows = [_row(each, "kept" if each.held else "found") for each in session.doctor.look(trash=trash)]
        in_trash = 0 if trash else sum(each.kind == REMOVED_CASE for each in session.doctor.look(trash=True))
    if terminal.as_json:
        print_json({"cleared": clear, "leftovers": rows})
        return
    shown = [
        {**row, "size": data_size(row["bytes"]), "patient_data": "of patients" if row["patient_data"] else "",
         "state": row["state"] + (f": {row['reason']}" if row["reason"] else "")}
        for row in rows
    ]  # fmt: skip
    columns = {"kind": "KIND", "size": "SIZE", "patient_data": "DATA", "state": "STATE", "path": "PATH"}
    print_table(shown, columns, empty="Nothing is left over.")
    if not clear and any(row["state"] == "found" for row in rows):
        say("Type 'lnsegfm doctor --clear' to delete what is not in use.")
    if in_trash:
        note(f"Removed cases in the trash: {in_trash}. 'lnsegfm doctor --trash' lists them; they can be restored.")


def _row(leftover: Leftover, state: str) -> dict[str, Any]:
    return {
        "kind": leftover.kind, "path": str(leftover.path), "bytes": leftover.size,
        "patient_data": leftover.of_patients, "state": state, "reason": leftover.held or None,
    }
