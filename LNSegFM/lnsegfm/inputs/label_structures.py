"""What the values in a label image are called, and which of them are lymph nodes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from lnsegfm.base.errors import UserError
from lnsegfm.images.geometry import Geometry, labels_on
from lnsegfm.images.input_options import ALL_VALUES, InputOptions
from lnsegfm.images.number_note import is_numbered
from lnsegfm.images.volume_checks import check_volume
from lnsegfm.images.whole_numbers import check_whole_numbers
from lnsegfm.inputs.label_names import Meaning, meaning, meaning_of

NOT_SEEN = 2
"""Value of what was not reviewed, in `Chosen.image`."""
_KEY = re.compile(r"Segment(\d+)_LabelValue")
_TERMINOLOGY = re.compile(r"TerminologyEntry:([^|]*)")
_MOST_LISTED = 12
MeanHu = Callable[[np.ndarray], "float | None"]


@dataclass(frozen=True)
class Structure:
    """One structure of a label image.

    Args:
        name: What it is called; empty where nobody says.
        values: Its label values.
        layer: In which layer; None for all.
        means: What the name says.
        voxels: How many voxels it has.
    """

    name: str
    values: tuple[int, ...]
    layer: int | None
    means: Meaning
    voxels: int = 0

    def __str__(self) -> str:
        """Return it as in a list for the user."""
        # In quotation marks, without any within: what must not hold names is cleared by them.
        values = ", ".join(map(str, self.values))
        name = "'" + self.name.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}") + "'" if self.name else f"value {values}"
        return f"{name} ({self.voxels} voxels)"


@dataclass(frozen=True)
class Chosen:
    """The lymph nodes of a label image.

    Args:
        image: uint8 on the label's own grid: 0, 1 (lymph node) and `NOT_SEEN`.
        notes: What was taken and what was left out, a sentence each.
    """

    image: sitk.Image
    notes: tuple[str, ...]


def choose_lymph_nodes(
    image: sitk.Image, options: InputOptions = InputOptions(), *, names: Mapping[str, tuple[int, ...]] | None = None,
    ignore: int | None = None, mean_hu: MeanHu = lambda mask: None,
) -> Chosen:
    """Tell which voxels of a label image are lymph node.

    What the user says (``options.values``) counts first; then the names of segments in the header; then ``names``. A
    single value without a name is lymph node, several are refused.

    Args:
        image: Label image as it was read, see `lnsegfm.inputs.label_reading.read_labels`.
        options: What the user says.
        names: Values by name, as ``dataset.json`` has them.
        ignore: Value of what was not reviewed.
        mean_hu: Returns the mean HU of a mask on the label's own grid, where that is known; for refusals.

    Raises:
        UserError: It is no label image, holds negative or broken numbers, or it is not certain what is a lymph node.
    """
    layers = _layers(image)
    values = [_values(layer, ignore) for layer in layers]
    structures = _structures(image, layers, values, names)
    if options.values:
        taken = _by_user(structures, options)
    else:
        _refuse_two_names(structures)
        taken = _by_name(structures, is_numbered(image), lambda each: mean_hu(_mask(layers, [each])))
    left = [each for each in structures if each not in taken]
    result = _mask(layers, taken)
    if ignore is not None:
        unseen = np.logical_or.reduce([layer == ignore for layer in layers]) & (result == 0)
        result[unseen] = NOT_SEEN
    return Chosen(labels_on(_first_volume(image), result), _notes(taken, left))


def _layers(image: sitk.Image) -> list[np.ndarray]:
    """Return the layers of segments in a label image, views of shape (z, y, x)."""
    array = sitk.GetArrayViewFromImage(image)
    if image.GetDimension() == 4 and (image.GetSize()[3] == 1 or _segments(image)):
        layers = list(array)
    elif image.GetDimension() == 3:
        count = image.GetNumberOfComponentsPerPixel()
        layers = [array[..., layer] for layer in range(count)] if array.ndim == 4 else [array]
    else:
        layers = []
    try:
        check_volume(_first_volume(image) if layers else image)
    except UserError as error:
        raise UserError("The segmentation cannot be used.", f"{error.what} {error.why}", error.todo) from error
    for layer in layers:
        check_whole_numbers(layer)
    return layers


def _first_volume(image: sitk.Image) -> sitk.Image:
    """Return one 3D scalar volume on the grid of the labels."""
    if image.GetDimension() == 4:
        # Any other way to collapse the fourth axis may replace the direction of the remaining three.
        keep = sitk.ExtractImageFilter.DIRECTIONCOLLAPSETOSUBMATRIX
        image = sitk.Extract(image, (*image.GetSize()[:3], 0), (0, 0, 0, 0), keep)
    if "vector" in image.GetPixelIDTypeAsString():
        return sitk.VectorIndexSelectionCast(image, 0)
    return image


def _values(layer: np.ndarray, ignore: int | None) -> dict[int, int]:
    """Return how many voxels each value has, but for 0 and ``ignore``."""
    if layer.dtype == np.uint8:
        counts = np.bincount(layer.ravel(), minlength=256)
        found = {int(value): int(counts[value]) for value in np.flatnonzero(counts)}
    else:
        found = {int(value): int(count) for value, count in zip(*np.unique(layer, return_counts=True), strict=True)}
    known = {value: count for value, count in found.items() if value not in (0, ignore)}
    if negative := {value: count for value, count in known.items() if value < 0}:
        seen = ", ".join(f"{value} ({count} voxels)" for value, count in sorted(found.items())[:_MOST_LISTED])
        raise UserError(
            "The labels cannot be used.", f"They hold the negative value {min(negative)}. Their values are {seen}.",
            "Export labels with 0 for the background and numbers above 0 for lymph nodes.",
        )
    return known


def _segments(image: sitk.Image) -> list[tuple[str, int, int, str]]:
    """Return name, value, layer and terminology entry of the segments in the header of Slicer's ``.seg.nrrd``."""
    found = []
    keys = set(image.GetMetaDataKeys())
    numbers = sorted(int(match[1]) for key in keys if (match := _KEY.fullmatch(key)))
    for number in numbers:
        def tag(name: str, number: int = number) -> str:
            key = f"Segment{number}_{name}"
            return str(image.GetMetaData(key)).strip() if key in keys else ""

        try:
            value, layer = int(tag("LabelValue")), int(tag("Layer") or 0)
        except ValueError:
            continue
        entry = _TERMINOLOGY.search(tag("Tags"))
        found.append((tag("Name") or tag("ID"), value, layer, entry[1] if entry else ""))
    return found


def _structures(
    image: sitk.Image, layers: Sequence[np.ndarray], values: Sequence[Mapping[int, int]],
    names: Mapping[str, tuple[int, ...]] | None,
) -> list[Structure]:
    """Return the structures that have voxels."""
    found: list[Structure] = []
    for name, value, layer, entry in _segments(image):
        if not 0 <= layer < len(layers):
            raise UserError(
                "The segmentation cannot be used.",
                f"Its segment '{name}' is said to lie in layer {layer}, and there are {len(layers)}.",
                "Export it again.",
            )
        found.append(Structure(name, (value,), layer, meaning_of(name, entry), values[layer].get(value, 0)))
    if not found and names:
        for name, numbers in names.items():
            voxels = sum(counts.get(value, 0) for counts in values for value in numbers)
            found.append(Structure(name, numbers, None, meaning(name), voxels))
    named = {(layer, value) for each in found for value in each.values
             for layer in (range(len(layers)) if each.layer is None else [each.layer])}  # fmt: skip
    for layer, counts in enumerate(values):
        for value, voxels in sorted(counts.items()):
            if (layer, value) not in named:
                found.append(Structure("", (value,), layer, "unnamed", voxels))
    return [each for each in found if each.voxels]


def _refuse_two_names(structures: Sequence[Structure]) -> None:
    """Refuse a value with two names: taking one takes the other."""
    names: dict[tuple[int | None, int], str] = {}
    for each in structures:
        for value in each.values:
            other = names.setdefault((each.layer, value), each.name)
            if other != each.name and each.voxels:
                raise UserError(
                    "The labels cannot be used.", f"The value {value} has two names: '{other}' and '{each.name}'.",
                    "Correct the names in the file or in dataset.json, or name the values that are lymph nodes, as in "
                    "--label-values 1,2.",
                )


def _by_user(structures: Sequence[Structure], options: InputOptions) -> list[Structure]:
    if options.values == ALL_VALUES:
        return list(structures)
    taken = [each for each in structures if options.numbers & set(each.values)]
    known = {value for each in structures for value in each.values}
    if structures and not options.numbers & known:
        raise UserError(
            "The labels cannot be used.",
            f"None of the values {options.values} is in them; there are {_listed(structures)}.",
            "Choose among these.",
        )
    return [
        Structure(each.name, tuple(sorted(options.numbers & set(each.values))), each.layer, each.means, each.voxels)
        if set(each.values) - options.numbers else each
        for each in taken
    ]


def _by_name(
    structures: Sequence[Structure], numbered: bool, mean_hu: Callable[[Structure], float | None]
) -> list[Structure]:
    unclear = [each for each in structures if each.means == "unclear"]
    if unclear:
        raise UserError(
            "The labels cannot be used.", f"It is not clear whether these are lymph nodes: {_listed(unclear)}.",
            "Name the values that are, as in --label-values 1,2; or rename the segments.",
        )
    lymph_nodes = [each for each in structures if each.means == "lymph node"]
    if lymph_nodes or not structures:
        return lymph_nodes
    if len(structures) == 1 and structures[0].means == "unnamed":
        return list(structures)
    if any(each.means == "other" for each in structures):
        raise UserError(
            "The labels cannot be used.", f"None of their structures is called a lymph node: {_listed(structures)}.",
            "Choose those that are lymph nodes by their values, as in --label-values 1,2 - or all; or name them "
            "'Lymph node'.",
        )
    if numbered:
        return list(structures)
    seen = ", ".join(
        f"{each}" if hu is None else f"{str(each)[:-1]}, mean {hu:.0f} HU)"
        for each, hu in ((each, mean_hu(each)) for each in structures[:_MOST_LISTED])
    )
    more = f" and {len(structures) - _MOST_LISTED} more" if len(structures) > _MOST_LISTED else ""
    raise UserError(
        "The labels cannot be used.",
        f"They hold several values, and nothing says which are lymph nodes: {seen}{more}.",
        "If they number lymph nodes, say so: --label-values all; else name the values, as in --label-values 1,2.",
    )


def _mask(layers: Sequence[np.ndarray], taken: Sequence[Structure]) -> np.ndarray:
    result = np.zeros(layers[0].shape, np.uint8)
    for number, layer in enumerate(layers):
        values = {value for each in taken if each.layer in (None, number) for value in each.values}
        if len(values) == 1:
            result[layer == values.pop()] = 1
        elif values:
            result[np.isin(layer, sorted(values))] = 1
    return result


def _notes(taken: Sequence[Structure], left: Sequence[Structure]) -> tuple[str, ...]:
    notes = []
    if left or any(each.name for each in taken) or len(taken) > 1:
        notes.append(f"Taken as lymph node: {_listed(taken) or 'nothing'}.")
    gone = [each for each in left if not any(each.name and each.name == other.name for other in taken)]
    if gone:
        notes.append(f"Left out: {_listed(gone)}.")
    return tuple(notes)


def _listed(structures: Sequence[Structure]) -> str:
    shown = ", ".join(map(str, structures[:_MOST_LISTED]))
    return shown + (f" and {len(structures) - _MOST_LISTED} more" if len(structures) > _MOST_LISTED else "")


def mean_hu_on(image: sitk.Image, ct: sitk.Image) -> MeanHu:
    """Return how to tell the mean HU under a mask of the label's grid, where that is the grid of the CT."""
    volume = _first_volume(image) if image.GetDimension() in (3, 4) else image
    if volume.GetDimension() != 3 or not Geometry.of(volume).matches(Geometry.of(ct)):
        return lambda mask: None
    values = sitk.GetArrayViewFromImage(ct)
    return lambda mask: float(values[mask != 0].mean()) if mask.any() else None
