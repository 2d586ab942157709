"""Damage for files: bytes, numbers and JSON, as hypothesis draws it."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

Damage = Callable[[bytes], bytes]
_HEAD = 600
_NUMBERS = (0, 1, -1, 127, 255, 32767, 65535, 2**31 - 1, -(2**31), 2**32 - 1, 2**63 - 1)
_places = st.floats(0, 1, exclude_max=True)


def _at(content: bytes, place: float, in_head: bool) -> int:
    return int(place * min(len(content), _HEAD if in_head else len(content)))


def _cut(place: float) -> Damage:
    return lambda content: content[: int(place * len(content))]


def _flip(place: float, in_head: bool, byte: int) -> Damage:
    def damage(content: bytes) -> bytes:
        at = _at(content, place, in_head)
        return content[:at] + bytes([byte]) + content[at + 1 :]

    return damage


def _put(place: float, in_head: bool, number: int, form: str) -> Damage:
    def damage(content: bytes) -> bytes:
        at, size = _at(content, place, in_head), struct.calcsize(form)
        packed = struct.pack(form, float(number)) if form[1] in "fd" else struct.pack(form, number & (256**size - 1))
        return content[:at] + packed + content[at + size :]

    return damage


def _insert(place: float, in_head: bool, more: bytes) -> Damage:
    def damage(content: bytes) -> bytes:
        at = _at(content, place, in_head)
        return content[:at] + more + content[at:]

    return damage


def _blank(place: float, length: int) -> Damage:
    def damage(content: bytes) -> bytes:
        at = int(place * len(content))
        return content[:at] + b"\0" * min(length, len(content) - at) + content[at + length :]

    return damage


def _repeat(place: float, length: int) -> Damage:
    def damage(content: bytes) -> bytes:
        at = int(place * len(content))
        return content[: at + length] + content[at:]

    return damage


cuts = st.builds(_cut, _places)
"""The end of the file is missing."""
_bytes_damage = st.one_of(
    st.builds(_flip, _places, st.booleans(), st.integers(0, 255)),
    st.builds(_put, _places, st.booleans(), st.sampled_from(_NUMBERS), st.sampled_from(["<H", "<I", "<Q", "<f", "<d"])),
    st.builds(_insert, _places, st.booleans(), st.binary(min_size=1, max_size=40)),
    st.builds(_blank, _places, st.integers(1, 5000)),
    st.builds(_repeat, _places, st.integers(1, 2000)),
)


def _all_of(damages: list[Damage]) -> Damage:
    def damage(content: bytes) -> bytes:
        for each in damages:
            content = each(content)
        return content

    return damage


byte_damage = st.lists(_bytes_damage, min_size=1, max_size=6).map(_all_of)
"""Some bytes are others."""

_json_values: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.sampled_from([*_NUMBERS, 10**30, 1e308, -0.5, 1e-300]), st.text(max_size=6),
    st.sampled_from(["", "\0", "../../x", "/etc/x", "x" * 5000, [], {}, [[[[]]]], {"a": {"a": {}}}, [0] * 5000]),
)


def _replace_in(value: Any, path: list[float], new: Any, drop: bool) -> Any:
    if isinstance(value, dict) and value and path:
        key = sorted(value)[int(path[0] * len(value))]
        if drop and len(path) == 1:
            return {name: each for name, each in value.items() if name != key}
        return {**value, key: _replace_in(value[key], path[1:], new, drop)}
    if isinstance(value, list) and value and path:
        at = int(path[0] * len(value))
        return [*value[:at], _replace_in(value[at], path[1:], new, drop), *value[at + 1 :]]
    return new


def _json_damage(changes: list[tuple[list[float], Any, bool]]) -> Damage:
    def damage(content: bytes) -> bytes:
        value = json.loads(content)
        for path, new, drop in changes:
            value = _replace_in(value, path, new, drop)
        return json.dumps(value).encode()

    return damage


json_damage = st.one_of(
    st.lists(
        st.tuples(st.lists(_places, min_size=1, max_size=5), _json_values, st.booleans()), min_size=1, max_size=3
    ).map(_json_damage),
    byte_damage,
    st.sampled_from([b"", b"\0" * 300, b"[" * 100_000, b"null", b"[]", b'{"a": NaN}', b"\xff\xfe{}"]).map(
        lambda content: lambda before: content
    ),
)
"""A value is another, is missing, or the text is damaged."""

