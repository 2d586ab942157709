"""The cases of an experiment: brought into its own store, and split into training and test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from lnsegfm.base.errors import UserError
from lnsegfm.base.files import read_json, write_json
from lnsegfm.cases.case_import import RawFolder
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.images.input_options import ONLY_CERTAIN, Notes
from lnsegfm.inputs.dataset_labels import DatasetLabels
from lnsegfm.jobs.job_spec import CaseRef
from lnsegfm.phantom import make_case
from lnsegfm.research.benchmark.benchmark_config import TEST_SHARE, CaseSource

_KNOWN = "cases.json"
_NOTES = "case_notes.json"
Content = tuple[sitk.Image, sitk.Image, DatasetLabels | None]


@dataclass(frozen=True)
class Split:
    """The cases of a dataset.

    Args:
        pool: Where training cases are drawn from.
        test: What is measured on; never partially annotated.
    """

    pool: tuple[CaseRef, ...]
    test: tuple[CaseRef, ...]

    def shots(self, count: int, seed: int) -> tuple[CaseRef, ...]:
        """Return the training cases of a few-shot run; those of fewer shots are among those of more.

        Raises:
            UserError: There are not so many.
        """
        if count > len(self.pool):
            raise UserError(
                f"{count} training cases were asked for.", f"There are {len(self.pool)}.", "Ask for fewer shots."
            )
        order = np.random.default_rng(seed).permutation(len(self.pool))
        return tuple(self.pool[index] for index in order[:count])


def split(store: CaseStore, ids: Sequence[str], seed: int) -> Split:
    """Draw a fifth of the cases, at least one, as test cases; the others are the pool.

    Raises:
        UserError: There are not at least two cases, or hardly any is annotated completely.
    """
    cases = [store.get(case_id) for case_id in ids]
    complete = [case.id for case in cases if not case.latest.partial]
    wanted = max(1, round(TEST_SHARE * len(cases)))
    if len(cases) <= wanted or len(complete) < wanted:
        raise UserError(
            "The cases cannot be split into training and test cases.",
            f"There are {len(cases)}, {len(complete)} of them annotated completely; {wanted} are needed for the test.",
            "Import more cases.",
        )
    chosen = {complete[index] for index in np.random.default_rng(seed).permutation(len(complete))[:wanted]}
    refs = [CaseRef(case.id, case.latest.number) for case in cases]
    return Split(
        tuple(ref for ref in refs if ref.id not in chosen), tuple(ref for ref in refs if ref.id in chosen)
    )


def store_cases(
    source: CaseSource, name: str, base: Path, store: CaseStore, report: Callable[[str], None]
) -> tuple[str, ...]:
    """Bring the cases of a source into the store; those that are there already are not read again.

    Args:
        source: Where they come from.
        name: The source's name in the experiment.
        base: Folder that relative paths start at.
        store: The experiment's own case store.
        report: Called with a line for each case that is brought in, and for each thing that is to be known of one; the
            latter are also listed in ``case_notes.json`` of the store.

    Returns:
        The cases' ids, in the order of the source.

    Raises:
        UserError: A case cannot be used; the message names it.
    """
    path = store.root / _KNOWN
    known: dict[str, str] = read_json(path) if path.is_file() else {}
    ids = []
    for key, read in _contents(source, base):
        entry = f"{name}/{key}"
        if entry not in known:
            report(f"{name}: {key}")
            said: Notes = []
            try:
                image, labels, named = read(said)
                ignore, names = (None, None) if named is None else (named.ignore, named.structures)
                known[entry] = store.accept_once(image, labels, ignore=ignore, names=names, notes=said)[0].id
            except UserError as error:
                raise UserError(f"{entry}: {error.what}", error.why, error.todo) from error
            for note in said:
                report(f"{entry}: {note}")
            if said:
                _note(store.root / _NOTES, entry, said)
            write_json(path, known)
        ids.append(known[entry])
    return tuple(ids)


def _note(path: Path, entry: str, said: Sequence[str]) -> None:
    """Add what was said of a case to the experiment's list, for a case that is stored is not read again."""
    listed: dict[str, Sequence[str]] = read_json(path) if path.is_file() else {}
    write_json(path, {**listed, entry: said})


def stored_ids(source: CaseSource, name: str, base: Path, store: CaseStore) -> tuple[str, ...] | None:
    """Return the ids of a source's cases as `store_cases`, without storing any; None unless all are stored."""
    path = store.root / _KNOWN
    known: dict[str, str] = read_json(path) if path.is_file() else {}
    entries = [f"{name}/{key}" for key, _read in _contents(source, base)]
    return tuple(known[entry] for entry in entries) if all(entry in known for entry in entries) else None


def check_source(source: CaseSource, name: str, base: Path) -> None:
    """Find out whether a source's folder can be used, before any case is read.

    Raises:
        UserError: It does not exist, or is not in nnU-Net's raw layout.
    """
    try:
        for _each in _contents(source, base):
            return
    except UserError as error:
        raise UserError(
            f"The cases of '{name}' cannot be read.", f"{(base / source.raw).resolve()}: {error.why}",
            f"Correct 'raw' in the configuration. {error.todo}",
        ) from error


def _contents(source: CaseSource, base: Path) -> Iterator[tuple[str, Callable[[Notes], Content]]]:
    if source.phantom:
        for seed in range(source.first_seed, source.first_seed + source.cases):
            yield f"{source.phantom}-{seed}", _phantom(source, seed)
        return
    raw = RawFolder.read(base / source.raw)
    names = list(raw.pairs)[: source.cases or None]
    for name in names:
        yield name, _pair(raw, name)


def _phantom(source: CaseSource, seed: int) -> Callable[[Notes], Content]:
    def read(_notes: Notes) -> Content:
        phantom = make_case(source.phantom, seed, size=source.size, spacing=source.spacing)
        return phantom.ct, phantom.labels, None

    return read


def _pair(raw: RawFolder, name: str) -> Callable[[Notes], Content]:
    def read(notes: Notes) -> Content:
        return *raw.pairs[name].read(ONLY_CERTAIN, notes), raw.labels

    return read
