"""Options of the commands that read a CT with labels, for where a file alone does not make it certain what they are."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from lnsegfm.images.input_options import InputOptions

LABELS = "NIfTI, NRRD, MetaImage, .seg.nrrd or DICOM SEG file; one value, or segments called lymph node."
Grid = Annotated[
    Literal["certain", "ct", "own"],
    typer.Option(
        "--label-grid", help="Where labels lie whose grid is not certainly that of the CT. certain: refuse them. ct: "
        "take their voxels with the CT's header. own: believe their own header, and resample (nearest neighbour).",
    ),
]
Values = Annotated[
    str,
    typer.Option(
        "--label-values", metavar="all|N,N,...", help="Values that are lymph node, or all. [default: as the names of "
        "the segments say, or the only value]",
    ),
]
Unusual = Annotated[
    bool,
    typer.Option(
        "--unusual-labels", help="The labels are right although most of them are air, fat or bone, or they fill most "
        "of the CT.",
    ),
]
AssumeHu = Annotated[
    bool, typer.Option("--assume-hu", help="Take the CT's values as HU although they do not look like it.")
]


def input_options(grid: str, values: str, unusual: bool, assume_hu: bool = False) -> InputOptions:
    """Return what the user chose.

    Raises:
        UserError: The values are no list of whole numbers above 0.
    """
    return InputOptions("ct" if grid == "ct" else "own" if grid == "own" else "certain", values, unusual, assume_hu)
