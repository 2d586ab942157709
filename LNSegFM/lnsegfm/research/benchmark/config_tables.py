"""The tables of a configuration file, read strictly: what is wrong is said by its key and its table."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from typing import Any

TOP = "the top of the file"
_WHOLE, _NUMBER, _TEXT = "a whole number", "a number", "a text"
# By how the fields of the dataclasses are annotated: what a value is called, its type, and how many there are.
_KINDS: dict[str, tuple[str, type | tuple[type, ...]]] = {
    "str": (_TEXT, str), "int": (_WHOLE, int), "float": (_NUMBER, (int, float)), "bool": ("true or false", bool),
}


def check_keys(table: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse keys that a table does not have.

    Args:
        table: Its name, as the file writes it.
        given: The keys that are there.
        known: The keys that may be there.

    Raises:
        ValueError: The first that is not known, with the most similar one that is.
    """
    names = list(known)
    for key in given:
        if key not in names:
            near = difflib.get_close_matches(key, names, 1)
            hint = f"did you mean '{near[0]}'?" if near else f"known are: {', '.join(names)}"
            raise ValueError(f"'{key}' in {table} is not known; {hint}")


def check_present(table: str, given: Mapping[str, Any], needed: Iterable[str]) -> None:
    """Refuse a table without a key that it needs.

    Raises:
        ValueError: A key is missing.
    """
    missing = [key for key in needed if key not in given]
    if missing:
        raise ValueError(f"{table} needs {', '.join(repr(key) for key in missing)}")


def is_table(name: str, value: Any) -> dict[str, Any]:
    """Return a table.

    Raises:
        ValueError: It is a value.
    """
    if not isinstance(value, dict):
        raise ValueError(f"'{name}' must be a table, not {value!r}")
    return dict(value)


def build(kind: Any, table: str, values: Mapping[str, Any]) -> Any:
    """Return a dataclass with values from a table; lists become tuples.

    Args:
        kind: The dataclass.
        table: Name of the table, for messages.
        values: Its values by key; only keys that ``kind`` has.

    Raises:
        ValueError: A value is of another type, or makes no sense.
    """
    types = {each.name: str(each.type) for each in fields(kind)}
    checked = {key: _typed(table, key, types[key], value) for key, value in values.items()}
    try:
        return kind(**checked)
    except ValueError as error:
        raise ValueError(f"{table}: {error}") from error


def needed(kind: Any) -> list[str]:
    """Return the fields of a dataclass that have no default."""
    return [each.name for each in fields(kind) if each.default is MISSING and each.default_factory is MISSING]


def _typed(table: str, key: str, kind: str, value: Any) -> Any:
    if kind.startswith("tuple["):
        inner = kind.removeprefix("tuple[").removesuffix("]").split(", ")
        if inner[0] not in _KINDS:
            return value
        count = None if inner[-1] == "..." else len(inner)
        name, expected = _KINDS[inner[0]]
        wanted = f"a list of {count} values, each {name}" if count else f"a list, each value {name}"
        if not isinstance(value, list) or (count and len(value) != count) or not all(_is(x, expected) for x in value):
            raise ValueError(f"'{key}' in {table} must be {wanted}, not {value!r}")
        return tuple(value)
    if kind in _KINDS:
        name, expected = _KINDS[kind]
        if not _is(value, expected):
            raise ValueError(f"'{key}' in {table} must be {name}, not {value!r}")
    return value


def _is(value: Any, expected: type | tuple[type, ...]) -> bool:
    return isinstance(value, expected) and (expected is bool or not isinstance(value, bool))
