"""``lnsegfm measure``, and lymph nodes as lines on the terminal and as rows of JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lnsegfm.base.outputs import check_outputs
from lnsegfm.cli.label_choices import LABELS, AssumeHu, Grid, Unusual, Values, input_options
from lnsegfm.cli.terminal import Command, examples, open_session, print_table, say, terminal, warn

if TYPE_CHECKING:
    from lnsegfm.lymph_nodes.instances import LymphNode

_FIELDS = (
    "number", "short_axis_mm", "long_axis_mm", "volume_mm3", "size_class", "side", "mean_hu", "confidence",
    "centroid_ras", "implausible",
)  # fmt: skip
_COLUMNS = {
    "number": "NUMBER", "short_axis_mm": "SHORT AXIS (MM)", "long_axis_mm": "LONG AXIS (MM)",
    "volume_mm3": "VOLUME (MM3)", "mean_hu": "MEAN HU", "side": "SIDE", "size_class": "SIZE CLASS",
}


def register(app: typer.Typer) -> None:
    """Register the command."""
    app.command("measure", cls=Command, epilog=examples("lnsegfm measure ct.nrrd labels.nrrd -o lymph-nodes.csv"))(
        measure
    )


def measure(
    ct: Annotated[Path, typer.Argument(metavar="CT", help="DICOM folder, NIfTI, NRRD or MetaImage file.")],
    labels: Annotated[Path, typer.Argument(metavar="LABELS", help=LABELS)],
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="CSV", help="Table to write.")] = None,
    series: Annotated[
        str, typer.Option("--series", metavar="UID", help="Series Instance UID, where a folder holds several series.")
    ] = "",
    keep_implausible: Annotated[
        bool, typer.Option("--keep-implausible", help="List what cannot be a lymph node as well, with the reason.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that is no table of lymph nodes.")
    ] = False,
    grid: Grid = "certain", values: Values = "", unusual: Unusual = False, assume_hu: AssumeHu = False,
) -> None:
    """Measure the lymph nodes of labels: short and long axis, volume, mean HU, side, size class.

    What cannot be a lymph node, such as one in air, is left out, and how much is said.

    JSON: a list of objects with number, short_axis_mm, long_axis_mm, volume_mm3, size_class, side, mean_hu, confidence
    (null), centroid_ras (mm) and implausible (why it cannot be a lymph node; empty where it can).
    """
    if output is not None:
        _check_output(output, ct, labels, overwrite=overwrite)
    warnings: list[str] = []
    with open_session() as session:
        found = session.measure(
            ct, labels, series=series, keep_implausible=keep_implausible,
            input_options=input_options(grid, values, unusual, assume_hu), warnings=warnings,
        )
    for text in warnings:
        warn(f"Warning: {text}")
    if output is not None:
        from lnsegfm.lymph_nodes.measurement_table import MeasuredNode, write_csv

        write_csv([MeasuredNode(each) for each in found], output, with_reasons=keep_implausible)
    columns = {**_COLUMNS, "implausible": "IMPLAUSIBLE"} if keep_implausible else _COLUMNS
    print_table(as_rows(found), columns, empty="There are no lymph nodes.")
    if not terminal.as_json:
        say(f"{len(found)} lymph nodes" + (f" -> {output}" if output is not None else ""))


def _check_output(output: Path, *inputs: Path, overwrite: bool) -> None:
    from lnsegfm.formats.data_files import companions
    from lnsegfm.lymph_nodes.measurement_table import is_table

    files = [*inputs, *(file for path in inputs for file in companions(path))]
    check_outputs([output], files, overwrite=overwrite, wrote=is_table)


def line_of(lymph_node: LymphNode) -> str:
    """Return a lymph node as a line: number, axes, volume, HU, confidence, side and size class, or why it is none."""
    hu = "      -" if lymph_node.mean_hu is None else f"{lymph_node.mean_hu:5.0f} HU"
    confidence = "   -" if lymph_node.confidence is None else f"{lymph_node.confidence:4.0%}"
    return (
        f"  {lymph_node.number:3d}  {lymph_node.short_axis_mm:5.1f} x {lymph_node.long_axis_mm:5.1f} mm  "
        f"{lymph_node.volume_mm3 / 1000:7.2f} ml  {hu}  {confidence}  {lymph_node.side:5s}  "
        f"{lymph_node.implausible or lymph_node.size_class}"
    )


def as_rows(lymph_nodes: Sequence[LymphNode]) -> list[dict[str, Any]]:
    """Return lymph nodes as JSON objects; lengths in mm, volumes in mm³, the centroid in RAS."""
    return [{name: getattr(each, name) for name in _FIELDS} for each in lymph_nodes]
