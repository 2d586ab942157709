"""``lnsegfm cases``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lnsegfm.base.errors import UserError
from lnsegfm.cli.label_choices import LABELS, AssumeHu, Grid, Unusual, Values, input_options
from lnsegfm.cli.output.progress_lines import ProgressLines
from lnsegfm.cli.terminal import (
    Command,
    examples,
    noun,
    open_session,
    print_json,
    print_result,
    print_table,
    say,
    terminal,
)

if TYPE_CHECKING:
    from lnsegfm.cases.case_import import ImportReport
    from lnsegfm.cases.case_info import CaseInfo

app = noun(
    "Corrected cases: list, add, import, use, remove, restore.",
    "lnsegfm cases import nnUNet_raw/Dataset501_Ours", "lnsegfm cases use case-0003 case-0004 holdout",
    "lnsegfm cases list",
)  # fmt: skip

Use = Literal["train", "holdout", "reference", "excluded"]
CaseIds = Annotated[
    list[str], typer.Argument(metavar="CASE...", help="Ids of cases, or beginnings that only one case has.")
]


@app.command("list", cls=Command, epilog=examples("lnsegfm cases list", "lnsegfm cases list --json"))
def list_cases() -> None:
    """List the stored cases.

    JSON: a list of objects with id, use (train, holdout, reference, excluded), version (newest label version),
    lymph_nodes, partial (whether only a part of the CT was reviewed), created (UTC), draft_model (id or null),
    draft_dice (Dice of the correction against the model's draft, or null), size (voxels x, y, z), spacing_mm
    (x, y, z), state (sound, damaged) and reason (why it cannot be read, or null). Of a damaged case only id, state and
    reason are known; the others are null. It can be removed.
    """
    with open_session() as session:
        cases, damaged = session.cases.survey()
    rows = [_row(case) for case in cases]
    rows += [{**dict.fromkeys(_KEYS), "id": each.id, "state": "damaged", "reason": each.why} for each in damaged]
    rows.sort(key=lambda row: (len(row["id"]), row["id"]))
    columns = {
        "id": "ID", "use": "USE", "version": "VERSION", "lymph_nodes": "LYMPH NODES", "partial": "PARTIAL",
        "draft_model": "DRAFT BY",
    }  # fmt: skip
    if damaged:
        columns["state"] = "STATE"
    shown = [{**row, "state": f"damaged: {row['reason']}" if row["reason"] else ""} for row in rows]
    empty = "There are no cases. Type: lnsegfm cases add CT LABELS"
    print_table(rows if terminal.as_json else shown, columns, empty=empty)


_KEYS = (
    "id", "use", "version", "lymph_nodes", "partial", "created", "draft_model", "draft_dice", "size", "spacing_mm",
    "state", "reason",
)


def _row(case: CaseInfo) -> dict[str, Any]:
    latest, grid = case.latest, case.geometry
    return {
        "id": case.id, "use": case.use, "version": latest.number, "lymph_nodes": latest.nodes,
        "partial": latest.partial, "created": case.created, "draft_model": case.draft_model or None,
        "draft_dice": latest.draft_dice, "size": list(grid.size), "spacing_mm": list(grid.spacing),
        "state": "sound", "reason": None,
    }


@app.command("add", cls=Command, epilog=examples("lnsegfm cases add CT_FOLDER labels.nii.gz"))
def add(
    ct: Annotated[Path, typer.Argument(metavar="CT", help="DICOM folder, NIfTI, NRRD or MetaImage file.")],
    labels: Annotated[Path, typer.Argument(metavar="LABELS", help=LABELS)],
    no_nodes: Annotated[
        bool, typer.Option("--no-lymph-nodes", "--no-nodes", help="The CT shows no lymph nodes; the labels are empty.")
    ] = False,
    note: Annotated[str, typer.Option("--note", help="Your own words, stored with the labels; no names.")] = "",
    grid: Grid = "certain", values: Values = "", unusual: Unusual = False, assume_hu: AssumeHu = False,
) -> None:
    """Store a CT and its corrected labels as a case.

    The same CT again becomes a new label version of its case. Labels are refused where it is not certain which of them
    are lymph nodes or where they lie; --label-values and --label-grid say it.

    JSON: an object with case, version, voxels, lymph_nodes and notes (what was done to the labels, and left out).
    """
    options, notes = input_options(grid, values, unusual, assume_hu), list[str]()
    with open_session() as session:
        case = session.cases.add(ct, labels, no_nodes=no_nodes, note=note, input_options=options, notes=notes)
    latest = case.latest
    print_result(
        {"case": case.id, "version": latest.number, "voxels": latest.foreground_voxels, "lymph_nodes": latest.nodes,
         "notes": notes},
        "\n".join([
            f"Stored as {case.id}, label version {latest.number}: {latest.foreground_voxels} voxels in {latest.nodes} "
            "lymph nodes", *notes,
        ]),
    )  # fmt: skip


@app.command("import", cls=Command, epilog=examples("lnsegfm cases import nnUNet_raw/Dataset501_Ours"))
def import_cases(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="nnU-Net raw folder with imagesTr and labelsTr.")],
    grid: Grid = "certain", values: Values = "", unusual: Unusual = False, assume_hu: AssumeHu = False,
) -> None:
    """Import the pairs of an nnU-Net raw folder; bad pairs are reported, the others imported.

    JSON: an object with imported (list of name, case, notes) and skipped (list of name, reason).
    """
    options = input_options(grid, values, unusual, assume_hu)
    with open_session() as session, ProgressLines() as lines:
        report = session.cases.import_folder(folder, progress=lines.report, input_options=options)
    if terminal.as_json:
        print_json({
            "imported": [
                {"name": name, "case": case, "notes": list(report.notes.get(name, ()))} for name, case in report.stored
            ],
            "skipped": [{"name": name, "reason": reason} for name, reason in report.skipped],
        })  # fmt: skip
        _refuse_nothing(report)
        return
    for name, case in report.stored:
        say(f"{case}  {name}: {' '.join(report.notes.get(name, ()))}")
    for name, reason in report.skipped:
        say(f"Left out {name}: {reason}")
    say(f"Imported {len(report.stored)} cases, left out {len(report.skipped)}. File names are not stored.")
    _refuse_nothing(report)


def _refuse_nothing(report: ImportReport) -> None:
    if report.nothing_usable:
        raise UserError(
            "No case was imported.", f"All {len(report.skipped)} were left out, see above.",
            "Correct the folder, or say what is not certain by the options.",
        )


@app.command(
    "use", cls=Command,
    epilog=examples("lnsegfm cases use case-0003 case-0004 holdout", "lnsegfm cases use case-0009 reference"),
)
def use(
    cases: CaseIds,
    purpose: Annotated[
        Use, typer.Argument(
            metavar="train|holdout|reference|excluded",
            help="train: learn from it. holdout: measure on it, before and after. reference: a case of the base "
            "model's own domain, to measure what is forgotten. excluded: leave it out.",
        ),
    ],
) -> None:
    """Choose what cases are used for."""
    with open_session() as session:
        changed = session.cases.set_use(cases, purpose)
    text = "\n".join(f"{case.id} is now '{case.use}'" for case in changed)
    print_result({"cases": [case.id for case in changed], "use": purpose}, text)


@app.command(
    "remove", cls=Command, epilog=examples("lnsegfm cases remove case-0003", "lnsegfm cases remove case-0003 --forever")
)
def remove(
    cases: CaseIds,
    forever: Annotated[
        bool, typer.Option("--forever", help="Delete the CTs and their labels from the disk; nothing restores them.")
    ] = False,
) -> None:
    """Move cases into the trash, or delete them forever; damaged ones as well."""
    with open_session() as session:
        ids = session.cases.remove(cases, forever=forever)
    named = ", ".join(ids)
    text = f"Deleted {named}" if forever else f"Removed {named}; 'lnsegfm cases restore' brings back"
    print_result({"cases": list(ids), "forever": forever}, text)


@app.command("restore", cls=Command, epilog=examples("lnsegfm cases restore case-0003"))
def restore(cases: CaseIds) -> None:
    """Bring removed cases back from the trash."""
    with open_session() as session:
        ids = [case.id for case in session.cases.restore(cases)]
    print_result({"cases": ids}, f"Restored {', '.join(ids)}")
