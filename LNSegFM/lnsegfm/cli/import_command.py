"""``lnsegfm import``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from lnsegfm.base.files import sha256
from lnsegfm.research.datasets import folder_pairs, lnq2023, radcure, segrap2023
from lnsegfm.research.datasets.candidates import Candidate
from lnsegfm.research.datasets.import_run import run_import
from lnsegfm.research.datasets.manifest import MANIFEST, Case, Entry, Manifest
from lnsegfm.research.datasets.raw_layout import RawDataset


def add_to(commands: Any) -> None:
    """Add the command's parser."""
    parser = commands.add_parser("import", help="bring a public dataset into nnU-Net's raw layout")
    kinds = parser.add_subparsers(metavar="KIND", required=True)
    _segrap2023(_kind(kinds, "segrap2023", "a folder per patient, one file per structure", "Dataset501_SegRap2023"))
    _lnq2023(_kind(kinds, "lnq2023", "lnq2023-train-NNNN-ct.nrrd with -seg.nrrd", "Dataset502_LNQ2023"))
    _radcure(_kind(kinds, "radcure", "DICOM CT with RTSTRUCT, or with masks", "Dataset503_RADCURE"))
    _folder(_kind(kinds, "folder", "pairs of CT and label files", "Dataset504_LymphNodes"))


def _kind(kinds: Any, name: str, text: str, default_name: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = kinds.add_parser(name, help=text)
    parser.add_argument("source", type=Path, help="folder of the dataset")
    parser.add_argument("--out", type=Path, required=True, help="folder of the raw datasets (nnUNet_raw)")
    parser.add_argument("--name", default=default_name, help=f"name of the new dataset (default {default_name})")
    return parser


def _add_structure(parser: argparse.ArgumentParser, default: Sequence[str]) -> None:
    text = ", ".join(default) or "the only label"
    parser.add_argument(
        "--structure", action="append", metavar="PATTERN",
        help=f"name of a structure that is lymph node, with * and ?; may be repeated (default {text})",
    )


def _segrap2023(parser: argparse.ArgumentParser) -> None:
    _add_structure(parser, segrap2023.STRUCTURES)
    parser.add_argument("--contrast", action="store_true", help="take the CT with contrast agent (image_contrast)")

    def run(options: argparse.Namespace) -> None:
        names = options.structure or segrap2023.STRUCTURES
        found = segrap2023.candidates(options.source, structures=names, contrast=options.contrast)
        _run(options, found, "SegRap2023", {"structures": list(names), "contrast": options.contrast})

    parser.set_defaults(run=run)


def _lnq2023(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--complete", type=Path, metavar="FILE", help="training cases that are annotated completely, one a line"
    )

    def run(options: argparse.Namespace) -> None:
        found = lnq2023.candidates(options.source, complete=options.complete)
        _run(options, found, "LNQ2023", {"complete_sha256": sha256(options.complete) if options.complete else None})

    parser.set_defaults(run=run)


def _radcure(parser: argparse.ArgumentParser) -> None:
    _add_structure(parser, radcure.STRUCTURES)
    parser.add_argument("--masks", type=Path, metavar="DIR", help="folder of lymph node masks, PATIENT.nii.gz")

    def run(options: argparse.Namespace) -> None:
        names = options.structure or radcure.STRUCTURES
        found = radcure.candidates(options.source, structures=names, masks=options.masks)
        _run(options, found, "RADCURE", {"structures": list(names), "masks": options.masks is not None})

    parser.set_defaults(run=run)


def _folder(parser: argparse.ArgumentParser) -> None:
    _add_structure(parser, ())

    def run(options: argparse.Namespace) -> None:
        names = options.structure or []
        _run(options, folder_pairs.candidates(options.source, structures=names), "folder", {"structures": list(names)})

    parser.set_defaults(run=run)


def _run(options: argparse.Namespace, found: Sequence[Candidate], dataset: str, settings: dict[str, Any]) -> None:
    target = RawDataset(options.out / options.name, dataset, settings)
    with tqdm(total=len(found), unit="case") as bar:

        def report(candidate: Candidate, entry: Entry, explanation: str) -> None:
            bar.update()
            if not isinstance(entry, Case):
                tqdm.write(f"Left out {candidate.name}: {explanation}")

        prefix = "case" if dataset == "folder" else dataset.lower()
        manifest = run_import(found, target, prefix=prefix, report=report)
    print(_summary(manifest, target.folder))


def _summary(manifest: Manifest, folder: Path) -> str:
    partial = sum(case.partial for case in manifest.cases)
    lines = [
        f"{folder.name}: {len(manifest.cases)} cases, {len(manifest.dropped)} left out",
        *([f"{partial} are annotated in part only and can be trained on, but not tested with"] if partial else []),
        f"Where each case came from, by hash: {folder / MANIFEST}",
    ]
    return "\n".join(lines)
