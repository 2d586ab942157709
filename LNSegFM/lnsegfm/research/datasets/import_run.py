"""An import: every candidate of a source becomes a case or a line that says why not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.failures import as_user_error
from lnsegfm.base.files import sha256
from lnsegfm.cases.case_info import IGNORE
from lnsegfm.research.datasets.candidates import NODE, Candidate, LabelledCt
from lnsegfm.research.datasets.manifest import Case, Dropped, Entry, Manifest, Source
from lnsegfm.research.datasets.neutral_text import neutral
from lnsegfm.research.datasets.raw_layout import RawDataset

Report = Callable[[Candidate, Entry, str], None]
"""Told of every candidate, its entry, and with names what was done, or why it was left out."""


def run_import(candidates: Sequence[Candidate], target: RawDataset, *, prefix: str, report: Report) -> Manifest:
    """Import all candidates, or continue an import that was killed.

    Ids number the positions in the source, so that they do not depend on what was left out before. A case that was
    recorded before is not converted again, when its source files still have the recorded hashes.

    Args:
        candidates: The source, in the order of its names.
        target: Where the cases go.
        prefix: What the cases' ids begin with.
        report: For the user's eyes.

    Raises:
        UserError: The target is something else, cannot be written, or no candidate could be imported.
    """
    finished = target.finished()
    if finished is not None:
        target.clean_up()
        return finished
    entries: list[Entry] = []
    known: dict[str, str] = {}
    with target.writing():
        for position, candidate in enumerate(candidates, 1):
            entry, explanation = _one(candidate, position, f"{prefix}_{position:04d}", target, known)
            entries.append(entry)
            if isinstance(entry, Case):
                known[entry.voxels_sha256] = entry.id
            report(candidate, entry, explanation)
        manifest = target.finish(entries)
    target.clean_up()
    if not manifest.cases:
        raise UserError(
            "No case was imported.", f"All {len(entries)} found in the source were left out, see above.",
            "Correct the source, or choose other structures.",
        )
    return manifest


def _one(
    candidate: Candidate, position: int, case_id: str, target: RawDataset, known: dict[str, str]
) -> tuple[Entry, str]:
    files: dict[str, Sequence[Path]] = {}
    sources: tuple[Source, ...] = ()
    try:
        opened = candidate.opened()
        files = opened.sources()
        sources = tuple(_digest(role, paths) for role, paths in files.items())
        recorded = target.recorded(case_id)
        if recorded is not None and recorded.sources == sources:
            return recorded, recorded.reason if isinstance(recorded, Dropped) else " ".join(recorded.done)
        case = opened.load()
        voxels = _voxels_sha256(case.ct)
        _check(case, known.get(voxels))
    except Cancelled:
        raise
    except Exception as error:  # one bad case must not keep the others out
        problem = as_user_error(error, "It cannot be read.")
        explanation = f"{problem.what} {problem.why}".strip()
        paths = [path for each in files.values() for path in each]
        entry: Entry = Dropped(position, sources, neutral(explanation, paths, candidate.name))
        explanation = str(problem)
    else:
        # Not within the try: a full disk is no defect of the case.
        target.write_case(case_id, case)
        voxels_told = f"{int((case.labels == NODE).sum())} voxels."
        explanation = " ".join([voxels_told, *case.done])
        paths = [path for each in files.values() for path in each]
        entry = Case(
            case_id, position, bool((case.labels == IGNORE).any()), case.ct.GetSize(), case.ct.GetSpacing(), voxels,
            sources, tuple(neutral(sentence, paths, candidate.name) for sentence in case.done),
        )
    target.record(case_id, entry)
    return entry, explanation


def _check(case: LabelledCt, twin: str | None) -> None:
    if not (case.labels == NODE).any():
        raise UserError(
            "No lymph node is labelled.", "A scan without lymph nodes and a forgotten label look the same."
        )
    if twin is not None:
        raise UserError(f"It is the same CT as that of {twin}.")


def _digest(role: str, files: Sequence[Path]) -> Source:
    hashes = sorted(sha256(path) for path in files)
    if len(hashes) == 1:
        return Source(role, 1, hashes[0])
    # The same as: sha256sum FILES | cut -c1-64 | sort | sha256sum
    return Source(role, len(hashes), hashlib.sha256("".join(f"{each}\n" for each in hashes).encode()).hexdigest())


def _voxels_sha256(ct: sitk.Image) -> str:
    values = np.ascontiguousarray(sitk.GetArrayViewFromImage(ct))
    return hashlib.sha256(f"{values.dtype.str}{values.shape}".encode() + values.data).hexdigest()
