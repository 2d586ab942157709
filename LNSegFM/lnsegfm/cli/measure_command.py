"""``lnsegfm measure``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lnsegfm.cli.terminal import Command, examples, open_session, print_json, say, terminal
from lnsegfm.cli.text_of_lymph_nodes import as_rows, line_of


def register(app: typer.Typer) -> None:
    """Register the command."""
    app.command("measure", cls=Command, epilog=examples("lnsegfm measure ct.nrrd labels.nrrd -o lymph-nodes.csv"))(
        measure
    )


def measure(
    ct: Annotated[Path, typer.Argument(metavar="CT", help="DICOM folder, NIfTI, NRRD or MetaImage file.")],
    labels: Annotated[Path, typer.Argument(metavar="LABELS", help="Label file; all but 0 is lymph node.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="CSV", help="Table to write.")] = None,
    series: Annotated[
        str, typer.Option("--series", metavar="UID", help="Series Instance UID, where a folder holds several series.")
    ] = "",
) -> None:
    """Measure the lymph nodes of labels: short and long axis, volume, mean HU, side, size class.

    JSON: a list of objects with number, short_axis_mm, long_axis_mm, volume_mm3, size_class, side, mean_hu, confidence
    (null) and centroid_ras (mm).
    """
    from lnsegfm.base.files import check_writable

    if output is not None:
        check_writable(output)
    with open_session() as session:
        found = session.measure(ct, labels, series=series)
    if output is not None:
        from lnsegfm.lymph_nodes.measurement_table import MeasuredNode, write_csv

        write_csv([MeasuredNode(each) for each in found], output)
    if terminal.as_json:
        print_json(as_rows(found))
        return
    for each in found:
        say(line_of(each))
    say(f"{len(found)} lymph nodes" + (f" -> {output}" if output is not None else ""))
