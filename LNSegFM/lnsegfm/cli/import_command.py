"""``lnsegfm import``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lnsegfm.base.files import sha256
from lnsegfm.cli.label_choices import AssumeHu, Grid, Unusual, Values, input_options
from lnsegfm.cli.output.progress_lines import ProgressLines
from lnsegfm.cli.terminal import Command, examples, noun, print_json, say, terminal, warn
from lnsegfm.images.input_options import InputOptions

if TYPE_CHECKING:
    from lnsegfm.research.datasets.candidates import Candidate
    from lnsegfm.research.datasets.manifest import Entry, Manifest

app = noun(
    "Bring a public dataset into nnU-Net's raw layout: segrap2023, lnq2023, radcure, folder.",
    "lnsegfm import segrap2023 SegRap2023_Training_Set_120cases --out data",
    "lnsegfm import folder our-cases --out data --name Dataset505_Ours",
)
_JSON = """

    JSON: an object with folder, dataset, cases, partial (how many cases are annotated in part only), imported (a list
    of name, case and notes: what was done to the labels), left_out (a list of name and reason) and manifest (path).
    """

Source = Annotated[Path, typer.Argument(metavar="SOURCE", help="Folder of the dataset.")]
Out = Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Folder of the raw datasets (nnUNet_raw).")]
Name = Annotated[str, typer.Option("--name", metavar="DatasetNNN_NAME", help="Name of the new dataset.")]
FIRST = "Names of structures that are lymph node, with * and ?; may be repeated."
# As the research package has them, which is imported when a command runs; a test compares.
SEGRAP2023, RADCURE = "GTVnd", "GTVn, GTVn[!xp]*, GTV[ _-]n, GTV[ _-]n[!xp]*, LN, LN[0-9]*"


def _command(name: str, example: str, text: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return app.command(name, cls=Command, help=f"{text}{_JSON}", epilog=examples(f"lnsegfm import {name} {example}"))


@_command("segrap2023", "SegRap2023 --out data", "Import SegRap2023: a folder per patient, one file per structure.")
def segrap2023(
    source: Source, out: Out, name: Name = "Dataset501_SegRap2023",
    structure: Annotated[
        list[str] | None, typer.Option("--structure", metavar="PATTERN", help=f"{FIRST} [default: {SEGRAP2023}]")
    ] = None,
    contrast: Annotated[
        bool, typer.Option("--contrast", help="Take the CT with contrast agent (image_contrast). [default: without]")
    ] = False,
    grid: Grid = "certain", values: Values = "", unusual: Unusual = False, assume_hu: AssumeHu = False,
) -> None:
    """Import SegRap2023."""
    from lnsegfm.research.datasets import segrap2023 as dataset

    names = structure or dataset.STRUCTURES
    options = input_options(grid, values, unusual, assume_hu)
    found = dataset.candidates(source, structures=names, contrast=contrast, options=options)
    _run(out / name, found, "SegRap2023", {"structures": list(names), "contrast": contrast, **_said(options)})


@_command("lnq2023", "lnq2023-train --out data --complete complete.txt",
          "Import LNQ2023: lnq2023-train-NNNN-ct.nrrd with -seg.nrrd. Cases are annotated in part unless --complete "
          "names them.")  # fmt: skip
def lnq2023(
    source: Source, out: Out, name: Name = "Dataset502_LNQ2023",
    complete: Annotated[
        Path | None,
        typer.Option("--complete", metavar="FILE", help="Training cases that are annotated completely, one a line."),
    ] = None,
    grid: Grid = "certain", values: Values = "", unusual: Unusual = False, assume_hu: AssumeHu = False,
) -> None:
    """Import LNQ2023."""
    from lnsegfm.research.datasets import lnq2023 as dataset

    options = input_options(grid, values, unusual, assume_hu)
    found = dataset.candidates(source, complete=complete, options=options)
    settings = {"complete_sha256": sha256(complete) if complete else None, **_said(options)}
    _run(out / name, found, "LNQ2023", settings)


@_command("radcure", "RADCURE --out data", "Import RADCURE: DICOM CT with RTSTRUCT, or with masks.")
def radcure(
    source: Source, out: Out, name: Name = "Dataset503_RADCURE",
    structure: Annotated[
        list[str] | None, typer.Option("--structure", metavar="PATTERN", help=f"{FIRST} [default: {RADCURE}]")
    ] = None,
    masks: Annotated[
        Path | None, typer.Option("--masks", metavar="FOLDER", help="Folder of lymph node masks, PATIENT.nii.gz.")
    ] = None,
    grid: Grid = "certain", values: Values = "", unusual: Unusual = False, assume_hu: AssumeHu = False,
) -> None:
    """Import RADCURE."""
    from lnsegfm.research.datasets import radcure as dataset

    names = structure or dataset.STRUCTURES
    options = input_options(grid, values, unusual, assume_hu)
    found = dataset.candidates(source, structures=names, masks=masks, options=options)
    _run(out / name, found, "RADCURE", {"structures": list(names), "masks": masks is not None, **_said(options)})


@_command("folder", "our-cases --out data --name Dataset505_Ours", "Import pairs of CT and label files in a folder.")
def folder(
    source: Source, out: Out, name: Name = "Dataset504_LymphNodes",
    structure: Annotated[
        list[str] | None, typer.Option(
            "--structure", metavar="PATTERN", help=f"{FIRST} [default: those called lymph node, or the only label]"
        ),
    ] = None,
    grid: Grid = "certain", values: Values = "", unusual: Unusual = False, assume_hu: AssumeHu = False,
) -> None:
    """Import a folder."""
    from lnsegfm.research.datasets import folder_pairs

    names, options = structure or [], input_options(grid, values, unusual, assume_hu)
    found = folder_pairs.candidates(source, structures=names, options=options)
    _run(out / name, found, "folder", {"structures": list(names), **_said(options)})


def _said(options: InputOptions) -> dict[str, Any]:
    """Return what the user said of the labels, for the manifest; nothing where it is the default."""
    default = InputOptions()
    return {name: value for name, value in asdict(options).items() if value != getattr(default, name)}


def _run(target: Path, found: Sequence[Candidate], dataset: str, settings: dict[str, Any]) -> None:
    from lnsegfm.research.datasets.import_run import run_import
    from lnsegfm.research.datasets.manifest import Case
    from lnsegfm.research.datasets.raw_layout import RawDataset

    raw = RawDataset(target, dataset, settings)
    left_out: list[dict[str, str]] = []
    imported: list[dict[str, str]] = []
    with ProgressLines(len(found), "case") as lines:
        done = 0

        def report(candidate: Candidate, entry: Entry, explanation: str) -> None:
            nonlocal done
            done += 1
            if not isinstance(entry, Case):
                left_out.append({"name": candidate.name, "reason": explanation})
                warn(f"Left out {candidate.name}: {explanation}")
            else:
                imported.append({"name": candidate.name, "case": entry.id, "notes": explanation})
                if not terminal.as_json:
                    say(f"{entry.id}  {candidate.name}: {explanation}")
            lines.update(done, "Importing")

        try:
            manifest = run_import(found, raw, prefix="case" if dataset == "folder" else dataset.lower(), report=report)
        except KeyboardInterrupt:
            warn("What was imported so far stays; the same command continues.")
            raise
    _tell(manifest, raw.folder, imported, left_out)


def _tell(
    manifest: Manifest, target: Path, imported: list[dict[str, str]], left_out: list[dict[str, str]]
) -> None:
    from lnsegfm.research.datasets.manifest import MANIFEST

    partial = sum(case.partial for case in manifest.cases)
    if terminal.as_json:
        print_json({
            "folder": str(target), "dataset": target.name, "cases": len(manifest.cases), "partial": partial,
            "imported": imported, "left_out": left_out, "manifest": str(target / MANIFEST),
        })  # fmt: skip
        return
    say(f"{target.name}: {len(manifest.cases)} cases, {len(manifest.dropped)} left out")
    if partial:
        say(f"{partial} are annotated in part only and can be trained on, but not tested with")
    say(f"Where each case came from, by hash: {target / MANIFEST}")
