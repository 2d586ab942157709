"""Zip files from strangers: what is refused, and that a refusal leaves nothing outside the target."""

from __future__ import annotations

import stat
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lnsegfm.base import archive
from lnsegfm.base.archive import extract_zip
from lnsegfm.base.errors import UserError


def packed(path: Path, *entries: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as writer:
        for name, content in entries:
            writer.writestr(name, content)
    return path


def refused(source: Path) -> UserError:
    target = source.parent / "target"
    target.mkdir(exist_ok=True)
    with pytest.raises(UserError) as caught:
        extract_zip(source, target)
    assert source.name in caught.value.what
    assert caught.value.why
    assert caught.value.todo
    return caught.value


def test_files_and_folders_come_out_as_they_went_in(tmp_path: Path) -> None:
    source = packed(tmp_path / "a.zip", ("x/", b""), ("x/plans.json", b"{}"), ("x/fold_0/w.pth", bytes(100_000)))
    target = tmp_path / "target"
    target.mkdir()
    extract_zip(source, target)
    assert {p.relative_to(target).as_posix(): p.read_bytes() for p in target.rglob("*") if p.is_file()} == {
        "x/plans.json": b"{}",
        "x/fold_0/w.pth": bytes(100_000),
    }


@pytest.mark.parametrize(
    "name",
    [
        "../evil", "x/../../evil", "x/../evil", "/etc/evil", "//host/share/evil", "C:/evil", "C:evil", "x/C:/evil",
        "x/C:evil", "plans.json:stream", "..\\evil", "x\\..\\..\\evil", "\\evil",
    ],
)  # fmt: skip
def test_entries_that_point_elsewhere_are_refused_by_name(tmp_path: Path, name: str) -> None:
    error = refused(packed(tmp_path / "a.zip", ("fine", b"1"), (name, b"2")))
    assert name in error.why
    assert {p.name for p in tmp_path.rglob("*")} == {"a.zip", "target"}


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_special_files_are_refused(tmp_path: Path, kind: int) -> None:
    entry = zipfile.ZipInfo("fold_0")
    entry.create_system = 3
    entry.external_attr = (kind | 0o777) << 16
    error = refused(packed(tmp_path / "a.zip", (entry, b"/etc"), ("fold_0/x", b"1")))
    assert "fold_0" in error.why
    assert "link" in error.why
    assert not list((tmp_path / "target").iterdir())


def test_too_many_files_are_refused_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAXIMUM_ENTRIES", 3)
    error = refused(packed(tmp_path / "a.zip", *((f"{number}", b"") for number in range(4))))
    assert "4 files" in error.why
    assert not list((tmp_path / "target").iterdir())


def test_too_large_content_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MAXIMUM_BYTES", 1_000_000)
    refused(packed(tmp_path / "a.zip", ("a", bytes(600_000)), ("b", bytes(600_000))))
    assert not list((tmp_path / "target").iterdir())


def test_an_entry_that_lies_about_its_size_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAXIMUM_BYTES", 1_000_000)
    source = packed(tmp_path / "a.zip", ("a", bytes(5_000_000)))
    content = bytearray(source.read_bytes())
    directory = content.index(b"PK\x01\x02")
    for offset in (22, directory + 24):  # the uncompressed size in the entry's own header and in the directory
        struct.pack_into("<I", content, offset, 10)
    source.write_bytes(content)
    refused(source)
    assert sum(p.stat().st_size for p in (tmp_path / "target").rglob("*")) <= 1_000_000


def test_the_same_name_twice_and_a_file_that_is_also_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = packed(tmp_path / "a.zip", ("a", b"1"), ("a", b"2"))
    assert "a twice" in refused(twice).why
    for number, names in enumerate((("b", "b/c"), ("d", "d/e/f"), ("g/h", "g"))):
        refused(packed(tmp_path / f"{number}.zip", *((name, b"1") for name in names)))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_unusual_compression_is_refused(tmp_path: Path, method: int) -> None:
    assert "compress" in refused(packed(tmp_path / "a.zip", ("a", bytes(100)), method=method)).why


def test_names_that_no_disk_takes_are_refused(tmp_path: Path) -> None:
    assert "too long" in refused(packed(tmp_path / "a.zip", ("x" * 300, b"1"))).why


def test_encrypted_entries_are_refused(tmp_path: Path) -> None:
    source = packed(tmp_path / "a.zip", ("a", b"secret"))
    content = bytearray(source.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    source.write_bytes(content)
    assert "encrypted" in refused(source).why


def test_something_else_than_a_zip_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "a.zip"
    for content in (b"", b"not a zip", packed(tmp_path / "b.zip", ("a", bytes(1000))).read_bytes()[:-30]):
        source.write_bytes(content)
        assert "not a readable zip" in refused(source).what


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6))
@settings(max_examples=150, deadline=None)
def test_damage_never_raises_anything_but_a_user_error(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("zip")
    source = packed(folder / "a.zip", ("x/plans.json", b'{"a": [1, 2, 3]}' * 9), ("x/fold_0/w.pth", bytes(range(200))))
    content = bytearray(source.read_bytes())
    for position, value in changes:
        content[position % len(content)] = value
    source.write_bytes(content)
    target = folder / "target"
    target.mkdir()
    try:
        extract_zip(source, target)
    except UserError as error:
        assert error.why
    assert {path.name for path in folder.iterdir()} == {"a.zip", "target"}
