"""What a file says is held against the dataclass that it becomes."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnsegfm.base import schema
from lnsegfm.base.files import LARGEST_JSON, read_json, write_json
from lnsegfm.base.schema import Limits, SchemaError


@dataclass(frozen=True)
class Ref:
    id: Annotated[str, Limits(least=1, length=8, pattern="[a-z]+")]
    version: Annotated[int, Limits(1, 10)]


@dataclass(frozen=True)
class Sample:
    refs: Annotated[tuple[Ref, ...], Limits(least=1, length=3)]
    rate: Annotated[float, Limits(above=0, high=10)] = 1.0
    share: Annotated[float | None, Limits(0, below=1)] = None
    box: tuple[int, int, int] | None = None
    kind: Literal["a", "b"] = "a"
    colour: Annotated[str, Limits(choices=("red", "blue"))] = "red"
    notes: tuple[str, ...] = ()
    counts: dict[str, int] | None = None
    free: dict[str, Any] | None = None
    on: bool = False


SOUND: dict[str, Any] = {
    "refs": [{"id": "abc", "version": 3}], "rate": 2, "share": 0.5, "box": [1, 2, 3], "kind": "b", "colour": "blue",
    "notes": ["x"], "counts": {"n": 1}, "free": {"deep": [1, {"er": None}]}, "on": True,
}


def test_a_sound_object_becomes_the_dataclass() -> None:
    sample = schema.read(Sample, SOUND)
    assert sample.refs == (Ref("abc", 3),)
    assert isinstance(sample.rate, float) and sample.box == (1, 2, 3) and sample.notes == ("x",)
    assert schema.read(Sample, json.loads(json.dumps(asdict(sample)))) == sample


FAULTS = [
    ({"refs": []}, "'refs' must not be empty"),
    ({"refs": "abc"}, "'refs' must be a list, not 'abc'"),
    ({"refs": [{"id": "abc", "version": 1}] * 4}, "'refs' has 4 entries; at most 3"),
    ({"refs": [{"id": "abc", "version": 0}]}, r"'refs\[0\].version' must be at least 1, not 0"),
    ({"refs": [{"id": "abc", "version": True}]}, r"'refs\[0\].version' must be a whole number, not True"),
    ({"refs": [{"id": "abc"}]}, r"'refs\[0\].version' is missing"),
    ({"refs": [{"id": "a-b", "version": 1}]}, r"'refs\[0\].id' cannot be 'a-b'"),
    ({"refs": [{"id": "", "version": 1}]}, r"'refs\[0\].id' must not be empty"),
    ({"refs": [None]}, r"'refs\[0\]' must be an object"),
    ({"rate": 0}, "'rate' must be greater than 0"),
    ({"rate": 11}, "'rate' must be at most 10"),
    ({"rate": 10**400}, "'rate' must be at most 10"),
    ({"rate": float("nan")}, "'rate' must be a number"),
    ({"rate": "1"}, "'rate' must be a number, not '1'"),
    ({"share": 1}, "'share' must be less than 1"),
    ({"box": [1, 2]}, "'box' must have 3 entries, not 2"),
    ({"box": [1, 2, 3.5]}, r"'box\[2\]' must be a whole number"),
    ({"box": [1, 2, 10**30]}, r"'box\[2\]' must be at most"),
    ({"kind": "c"}, "'kind' must be one of a, b"),
    ({"colour": "green"}, "'colour' must be one of red, blue"),
    ({"notes": ["\0"]}, r"'notes\[0\]' holds a NUL"),
    ({"notes": ["x" * 200_000]}, r"'notes\[0\]' has 200000 characters"),
    ({"counts": {"n": "1"}}, "'counts.n' must be a whole number"),
    ({"counts": [1]}, "'counts' must be an object"),
    ({"on": 1}, "'on' must be true or false"),
    ({"typo": 1}, "'typo' is not known"),
]


@pytest.mark.parametrize(("change", "message"), FAULTS)
def test_a_fault_is_refused_with_the_field(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        schema.read(Sample, {**SOUND, **change})


def test_fields_of_a_later_version_are_left_out_where_that_is_wanted() -> None:
    assert schema.read(Sample, {**SOUND, "later": 1}, newer=True) == schema.read(Sample, SOUND)


@pytest.mark.parametrize("whole", [None, [], "x", 3, True])
def test_something_else_than_an_object_is_refused(whole: Any) -> None:
    with pytest.raises(SchemaError, match="must be an object"):
        schema.read(Sample, whole)


def test_what_is_nested_too_deeply_is_refused_also_where_anything_goes() -> None:
    deep: Any = 1
    for _ in range(100):
        deep = [deep]
    with pytest.raises(SchemaError, match="levels deep"):
        schema.read(Sample, {**SOUND, "free": {"deep": deep}})


def test_what_code_has_made_is_held_against_the_same_limits() -> None:
    sample = schema.read(Sample, SOUND)
    schema.check(sample)
    with pytest.raises(SchemaError, match=r"'refs\[0\].version' must be at most 10, not 11"):
        schema.check(replace(sample, refs=(Ref("abc", 11),)))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4), max_leaves=12,
)


@given(field=st.sampled_from(sorted(SOUND)), value=json_values)
def test_any_value_is_taken_or_refused_by_its_field(field: str, value: Any) -> None:
    try:
        taken = schema.read(Sample, {**SOUND, field: value})
    except SchemaError as error:
        assert error.where.startswith(field) or not error.where
    else:
        schema.check(taken)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "Expecting value"), (b"{", "Expecting"), (b"\0" * 64, "Expecting value"), (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "Infinity"), (b'{"a": 1e999}', "1e999"), (b"[" * 200_000, "nested too deeply"),
        (b"\xff\xfe", "decode"), (b'{"a": ' + b"9" * 5000 + b"}", "digits"),
    ],
)
def test_what_is_no_finite_json_is_refused_with_the_reason(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "any.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        read_json(path)


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "any.json"
    with path.open("wb") as stream:
        stream.truncate(LARGEST_JSON + 1)
    with pytest.raises(ValueError, match="larger than 64 MiB"):
        read_json(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "any.json")
    with pytest.raises(OSError, match="no regular file"):
        read_json(tmp_path / "any.json")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"no regular file|ermission|directory"):
        read_json(tmp_path)


def test_a_number_that_is_not_finite_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "any.json", {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []
