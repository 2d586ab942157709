"""What is read from a file is held against the dataclass that it becomes: types, limits, names; by this file alone.

A stranger may have written it, or half of it. Fields are annotated as usual; `Limits` narrows them::

    epochs: Annotated[int, Limits(1, 100_000)] = 50

What has no limits of its own has those of `Limits()`, so that nothing is unbounded. Own lines, not pydantic or msgspec:
Slicer's modules list models, cases and jobs, and remove damaged ones, before anything was installed into Slicer.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from lnsegfm.base.files import read_json

T = TypeVar("T")
_SHOWN = 60
_DEPTH = 24
_MOST_VALUES = 2_000_000


class SchemaError(ValueError):
    """A value that is not what it must be.

    Args:
        where: The field, as ``cases[2].version``; empty for the whole.
        why: What is wrong with it, as a predicate: ``must be a text, not 3``.
    """

    def __init__(self, where: str, why: str) -> None:
        self.where, self.why = where, why
        super().__init__(f"'{where}' {why}" if where else f"the whole {why}")


@dataclass(frozen=True)
class Limits:
    """How far a value may go.

    Args:
        low: Least number.
        high: Greatest number; its negative is the least one where ``low`` is not given.
        above: A number must be greater than this.
        below: A number must be less than this.
        length: Most characters of a text, or entries of a list or of an object.
        least: Fewest characters or entries.
        pattern: What a whole text must match.
        choices: What a text must be one of.
    """

    low: float | None = None
    high: float = 1e15
    above: float | None = None
    below: float | None = None
    length: int = 100_000
    least: int = 0
    pattern: str = ""
    choices: Iterable[str] | None = None


_USUAL = Limits()


def read(kind: type[T], value: Any, *, newer: bool = False) -> T:
    """Make a dataclass of what a JSON file says.

    Args:
        kind: The dataclass; or a container of some, as ``dict[str, Ref]``.
        value: What was read.
        newer: Leave out fields that are not known, as those that a later version wrote.

    Raises:
        SchemaError: A field is missing, unknown, of another type or beyond its limits; the first that is.
        UserError: What the dataclass itself raises.
    """
    _bounded(value)
    made: T = _value(kind, value, "", newer)
    return made


def read_file(kind: type[T], path: Path, *, newer: bool = False) -> T:
    """Make a dataclass of a JSON file.

    Raises:
        OSError, ValueError: See `lnsegfm.base.files.read_json` and `read`.
    """
    return read(kind, read_json(path), newer=newer)


def check(instance: Any) -> None:
    """Hold the fields of a dataclass that code has made against the same types and limits; whole floats become floats.

    Raises:
        SchemaError: See `read`.
    """
    _check(instance, "")


def _check(instance: Any, where: str) -> None:
    for name, hint in _hints(instance.__class__).items():
        value = getattr(instance, name)
        checked = _value(hint, value, _joined(where, name), False)
        if type(checked) is not type(value):
            object.__setattr__(instance, name, checked)


def _dataclass(kind: Any, value: Any, where: str, newer: bool) -> Any:
    if isinstance(value, kind):
        _check(value, where)
        return value
    if not isinstance(value, Mapping):
        raise SchemaError(where, f"must be an object with named fields, not {_shown(value)}")
    hints, given = _hints(kind), {}
    for name, each in value.items():
        if name in hints:
            given[name] = _value(hints[name], each, _joined(where, name), newer)
        elif not newer:
            raise SchemaError(_joined(where, str(name)[:_SHOWN]), "is not known")
    for item in dataclasses.fields(kind):
        if item.name not in given and item.default is MISSING and item.default_factory is MISSING:
            raise SchemaError(_joined(where, item.name), "is missing")
    try:
        return kind(**given)
    except SchemaError as error:
        raise SchemaError(_joined(where, error.where), error.why) from error


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    return {item.name: hints[item.name] for item in dataclasses.fields(kind) if item.init}


def _value(hint: Any, value: Any, where: str, newer: bool, limits: Limits = _USUAL) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        own = next((each for each in arguments[1:] if isinstance(each, Limits)), limits)
        return _value(arguments[0], value, where, newer, own)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        return _one_of(arguments, value, where, newer, limits)
    if origin is Literal:
        if not any(value == each and type(value) is type(each) for each in arguments):
            raise SchemaError(where, f"must be one of {', '.join(map(str, arguments))}, not {_shown(value)}")
        return value
    if dataclasses.is_dataclass(hint):
        return _dataclass(hint, value, where, newer)
    if hint in (int, float):
        return _number(hint, value, where, limits)
    if hint is str:
        return _text(value, where, limits)
    if hint is bool:
        return _plain(bool, value, where, "true or false")
    if hint is type(None):
        return _plain(type(None), value, where, "null")
    if origin in (tuple, list, Sequence):
        return _listed(origin, arguments, value, where, newer, limits)
    if origin in (dict, Mapping):
        return _named(arguments, value, where, newer, limits)
    raise TypeError(f"'{where}' has the annotation {hint!r}, which is not supported.")


def _one_of(kinds: Iterable[Any], value: Any, where: str, newer: bool, limits: Limits) -> Any:
    if value is None and type(None) in kinds:
        return None
    failed = None
    for kind in kinds:
        if kind is not type(None):
            try:
                return _value(kind, value, where, newer, limits)
            except SchemaError as error:
                failed = failed or error
    raise failed or SchemaError(where, "must be null")


def _number(kind: type, value: Any, where: str, limits: Limits) -> Any:
    whole = kind is int
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        raise SchemaError(where, f"must be a {'whole ' if whole else ''}number, not {_shown(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise SchemaError(where, f"must be a number, not {value}")
    low = -limits.high if limits.low is None else limits.low
    for fits, words in (
        (value >= low, f"at least {low:g}"),
        (limits.above is None or value > limits.above, f"greater than {limits.above}"),
        (value <= limits.high, f"at most {limits.high:.15g}"),
        (limits.below is None or value < limits.below, f"less than {limits.below}"),
    ):
        if not fits:
            raise SchemaError(where, f"must be {words}, not {_shown(value)}")
    return kind(value)


def _text(value: Any, where: str, limits: Limits) -> str:
    if not isinstance(value, str):
        raise SchemaError(where, f"must be a text, not {_shown(value)}")
    _check_length(value, where, limits, "characters")
    if limits.choices is not None and value not in (choices := list(limits.choices)):
        raise SchemaError(where, f"must be one of {', '.join(choices)}, not {_shown(value)}")
    if limits.pattern and not re.fullmatch(limits.pattern, value):
        raise SchemaError(where, f"cannot be {_shown(value)}")
    if "\0" in value:
        raise SchemaError(where, "holds a NUL character")
    return value


def _plain(kind: type, value: Any, where: str, words: str) -> Any:
    if not isinstance(value, kind):
        raise SchemaError(where, f"must be {words}, not {_shown(value)}")
    return value


def _listed(origin: Any, kinds: tuple[Any, ...], value: Any, where: str, newer: bool, limits: Limits) -> Any:
    if not isinstance(value, (list, tuple)):
        raise SchemaError(where, f"must be a list, not {_shown(value)}")
    _check_length(value, where, limits, "entries")
    if origin is tuple and kinds[-1] is not Ellipsis:
        if len(value) != len(kinds):
            raise SchemaError(where, f"must have {len(kinds)} entries, not {len(value)}")
        each_kind: Iterable[Any] = kinds
    else:
        each_kind = [kinds[0]] * len(value)
    made = [
        _value(kind, each, f"{where}[{number}]", newer) for number, (kind, each) in enumerate(zip(each_kind, value))
    ]
    return made if origin is list else tuple(made)


def _named(kinds: tuple[Any, ...], value: Any, where: str, newer: bool, limits: Limits) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise SchemaError(where, f"must be an object, not {_shown(value)}")
    _check_length(value, where, limits, "entries")
    return {
        _value(kinds[0], name, where, newer): _value(kinds[1], each, _joined(where, str(name)[:_SHOWN]), newer)
        for name, each in value.items()
    }


def _check_length(value: Any, where: str, limits: Limits, words: str) -> None:
    if len(value) > limits.length:
        raise SchemaError(where, f"has {len(value)} {words}; at most {limits.length} are accepted")
    if len(value) < limits.least:
        raise SchemaError(where, "must not be empty" if limits.least == 1 else f"needs {limits.least} {words}")


def _bounded(value: Any) -> None:
    """Refuse what is nested too deeply, or has too many values to look at one by one."""
    level, count = [value], 0
    for _ in range(_DEPTH):
        level = [each for each in level if isinstance(each, (Mapping, list, tuple))]
        if not level:
            return
        count += sum(map(len, level))
        if count > _MOST_VALUES:
            raise SchemaError("", f"has more than {_MOST_VALUES} values")
        level = [each for parent in level for each in (parent.values() if isinstance(parent, Mapping) else parent)]
    raise SchemaError("", f"is nested more than {_DEPTH} levels deep")


def _joined(where: str, name: str) -> str:
    return f"{where}.{name}" if where and name else where or name


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
