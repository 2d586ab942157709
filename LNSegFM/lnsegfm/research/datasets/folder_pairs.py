"""Pairs of CT and label image files in a folder.

Four layouts are understood; any ending of `IMAGE_ENDINGS` will do::

    imagesTr/NAME_0000.nii.gz  labelsTr/NAME.nii.gz    nnU-Net's raw layout; dataset.json is read
    images/NAME.nii.gz         labels/NAME.nii.gz
    NAME.nii.gz                NAME_seg.nii.gz         _seg, -label, _labels, _mask, .seg, _segmentation ...
    NAME/ct.nii.gz             NAME/seg.nii.gz         a folder per case
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from lnsegfm.base.errors import UserError
from lnsegfm.images.input_options import InputOptions
from lnsegfm.inputs.dataset_labels import DatasetLabels
from lnsegfm.inputs.label_names import meaning
from lnsegfm.research.datasets.candidates import Candidate, listed, matches, nothing_found
from lnsegfm.research.datasets.label_files import FileCase, stem

_LABEL = re.compile(r"(?:(?P<name>.+)[-_.])?(?:seg|segmentation|segmentations|label|labels|mask)", re.IGNORECASE)
_IMAGE = re.compile(r"(?:(?P<name>.+)[-_.])?(?:ct|image|img|0000)", re.IGNORECASE)
_SUBFOLDERS = (("imagesTr", "labelsTr"), ("images", "labels"))


def candidates(
    source: Path, *, structures: Sequence[str] = (), options: InputOptions = InputOptions()
) -> list[Candidate]:
    """List the pairs.

    Args:
        source: Folder of one of the layouts.
        structures: Patterns of the names of the labels in ``dataset.json`` that are lymph nodes; not needed where it
            has only one label, or where names such as "lymph node" tell.
        options: What the user says of labels that are not certain.

    Raises:
        UserError: No pairs there, or several structures of which none is a lymph node.
    """
    for images, labels in _SUBFOLDERS:
        if (source / images).is_dir() and (source / labels).is_dir():
            pairs = _by_name(listed(source / images), listed(source / labels))
            named = DatasetLabels.beside(source / labels)
            if named is not None:
                named.check_ct(source)
            return _cases(source, pairs, _chosen(named, structures, options), named, options)
    files = listed(source)
    pairs = _by_name(*_sorted_out(files))
    for folder in (path for path in files if path.is_dir()):
        images_there, labels_there = _sorted_out(listed(folder))
        if images_there or labels_there:
            pairs[folder.name] = (tuple(images_there), tuple(labels_there))
    return _cases(source, pairs, frozenset(), None, options)


_Pairs = dict[str, tuple[tuple[Path, ...], tuple[Path, ...]]]


def _cases(
    source: Path, pairs: _Pairs, nodes: frozenset[int], named: DatasetLabels | None, options: InputOptions
) -> list[Candidate]:
    if not any(images and labels for images, labels in pairs.values()):
        raise nothing_found(source, "images/NAME.nii.gz with labels/NAME.nii.gz, or NAME.nii.gz with NAME_seg.nii.gz")
    return [
        FileCase(
            name, images, labels, nodes=nodes, ignore=None if named is None else named.ignore,
            names=None if named is None else named.structures, options=options, root=source,
        )
        for name, (images, labels) in sorted(pairs.items())
    ]


def _sorted_out(files: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """Return images and label images, told apart by the end of their names."""
    images: list[Path] = []
    labels: list[Path] = []
    for path in files:
        name = stem(path)
        if name is not None:
            (labels if _LABEL.fullmatch(name) else images).append(path)
    return images, labels


def _by_name(images: Iterable[Path], labels: Iterable[Path]) -> _Pairs:
    found: dict[str, tuple[list[Path], list[Path]]] = defaultdict(lambda: ([], []))
    for role, files, ending in ((0, images, _IMAGE), (1, labels, _LABEL)):
        for path in files:
            name = stem(path)
            if name is not None:
                match = ending.fullmatch(name)
                found[(match["name"] or "") if match else name][role].append(path)
    return {name: (tuple(paths[0]), tuple(paths[1])) for name, paths in found.items()}


def _chosen(named: DatasetLabels | None, structures: Sequence[str], options: InputOptions) -> frozenset[int]:
    """Return the values of the labels that were chosen by name; none where their own names tell, or the user."""
    if named is None or options.values:
        return frozenset()
    chosen = {name: values for name, values in named.structures.items() if matches(name, structures)}
    told = len(named.structures) == 1 or any(meaning(name) == "lymph node" for name in named.structures)
    if (structures and not chosen) or (not structures and named.structures and not told):
        raise UserError(
            "The source cannot be imported.",
            f"None of its structures {'was chosen' if structures else 'is called a lymph node'}: "
            f"{', '.join(named.structures)}.",
            "Choose those that are lymph nodes by --structure.",
        )
    return frozenset(value for values in chosen.values() for value in values)
