"""LNQ2023: pairs of NRRD files, most of them with only some of their lymph nodes labelled.

The challenge (https://lnq2023.grand-challenge.org) gave its files names by split, ``lnq2023-SPLIT-NNNN-{ct,seg}.nrrd``.
The 393 training CTs have about one node in five labelled; the 20 of the validation and the 100 of the test split are
annotated completely. The release of all 513 on TCIA (doi:10.7937/QVAZ-JA09) says the same in the series description of
each segmentation: "Partially Annotated" or "Fully Annotated".
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

from lnsegfm.base.errors import UserError
from lnsegfm.formats.given_files import open_given
from lnsegfm.images.input_options import InputOptions
from lnsegfm.research.datasets.candidates import Candidate, nothing_found
from lnsegfm.research.datasets.label_files import FileCase, known_values, stem

_NAME = re.compile(r"(?P<case>lnq2023-(?P<split>train|val|test)-(?P<number>\d+))-(?P<role>ct|seg)", re.IGNORECASE)
_LONGEST_LIST = 1 << 20
_LISTED = re.compile(r"(?:lnq2023-)?(?:(?P<split>train|val|test)-)?(?P<number>\d+)", re.IGNORECASE)


def candidates(
    source: Path, *, complete: Path | None = None, options: InputOptions = InputOptions()
) -> list[Candidate]:
    """List the cases of all splits below ``source``.

    Args:
        source: Folder with the files, in any sub-folders.
        complete: Text or CSV file whose first column names the training cases that are annotated completely:
            ``0012``, ``train-0012`` or ``lnq2023-train-0012``. Training cases that are not listed count as partial,
            because a forgotten node taken as background is worse than a node not used.
        options: What the user says of labels that are not certain; without values all but 0 is lymph node.

    Raises:
        UserError: No such files there, or a list that names cases that are not there.
    """
    files: dict[str, dict[str, list[Path]]] = defaultdict(lambda: {"ct": [], "seg": []})
    for path in sorted(source.rglob("*"), key=lambda path: path.relative_to(source).as_posix()):
        name = _NAME.fullmatch((stem(path) or "").removesuffix(".seg"))
        if name:
            files[name["case"].lower()][name["role"].lower()].append(path)
    if not files:
        raise nothing_found(source, "lnq2023-train-NNNN-ct.nrrd")
    listed = _listed_as_complete(complete, files.keys()) if complete else set()
    return [
        FileCase(
            case, tuple(found["ct"]), tuple(found["seg"]), partial="-train-" in case and case not in listed,
            options=known_values(options), root=source,
        )
        for case, found in sorted(files.items())
    ]


def _listed_as_complete(path: Path, known: Collection[str]) -> set[str]:
    """Return the cases a list names, as ``lnq2023-train-0012``."""
    listed = set()
    try:
        with open_given(path) as stream:
            lines = stream.read(_LONGEST_LIST).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UserError("The list of complete cases cannot be read.", f"{error}.", "Check the path.") from error
    for number, line in enumerate(lines, 1):
        first = re.split(r"[,;\t]", line)[0].strip().strip('"')
        name = _LISTED.fullmatch(first)
        if name:
            listed.add(f"lnq2023-{name['split'] or 'train'}-{int(name['number']):04d}".lower())
        # A table has a heading; anything else that is no case would silently make cases partial.
        elif first and not first.startswith("#") and number > 1:
            raise UserError(
                "The list of complete cases cannot be used.", f"Line {number} is '{first}'.",
                "Write one case number a line, for example 0012.",
            )
    missing = sorted(listed - set(known))
    if missing:
        raise UserError(
            "The list of complete cases does not fit the source.",
            f"{len(missing)} of its {len(listed)} cases are not there: {', '.join(missing[:5])}.",
            "Correct the list, or choose the folder that holds all cases.",
        )
    return listed
