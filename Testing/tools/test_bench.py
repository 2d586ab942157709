"""The frame of the benchmark: what is printed goes where it belongs, and says whether it is as wanted."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from bench import __main__ as program
from bench import gpu
from bench.page import Copy, put_between
from bench.parts import PARTS, Part
from bench.targets import Targets

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "performance.md"


def test_tables_replace_those_between_the_markers_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- bench:cpu -->\nold\n<!-- /bench:cpu -->\nafter\n")
    for text in ("new\n", "newer"):
        put_between(page, "cpu", text)
        assert page.read_text() == f"before\n<!-- bench:cpu -->\n\n{text.strip()}\n\n<!-- /bench:cpu -->\nafter\n"
    with pytest.raises(ValueError, match="lacks the markers"):
        put_between(page, "cuda", "new")


def test_the_page_has_both_markers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    for device in ("cpu", "cuda"):
        put_between(page, device, f"tables of {device}")
    assert page.read_text(encoding="utf-8").count("tables of") == 2


def test_what_is_printed_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    with Copy() as copy:
        print("a table")
    print("not this")
    assert copy.text == "a table\n" and capsys.readouterr().out == "a table\nnot this\n"


def test_targets_say_what_was_missed(capsys: pytest.CaptureFixture[str]) -> None:
    targets = Targets()
    targets.at_least("speed", 2.0, 1.5)
    targets.at_most("memory", 0.7, 0.6)
    targets.print_table()
    rows = capsys.readouterr().out.splitlines()[-3:-1]
    assert rows == ["| speed | at least 1.5 | 2 | yes |", "| memory | at most 0.6 | 0.7 | **no** |"]


def test_a_part_that_fails_does_not_cost_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def fail(device: torch.device, targets: Targets) -> None:
        raise RuntimeError("this part is broken")

    monkeypatch.setattr(program, "PARTS", {
        "broken": Part(fail, 0), "works": Part(lambda device, targets: print("a table"), 0),
        "elsewhere": Part(fail, 0, "cuda"),
    })  # fmt: skip
    page = tmp_path / "page.md"
    page.write_text("<!-- bench:cpu -->\n<!-- /bench:cpu -->\n")
    before = page.read_text()
    monkeypatch.setattr(sys, "argv", ["bench", "--device", "cpu", "--write", str(page)])
    assert program.main() == 1
    output = capsys.readouterr()
    assert "a table" in output.out and "this part is broken" in output.err
    assert page.read_text() == before  # an incomplete page is none
    monkeypatch.setattr(sys, "argv", ["bench", "--device", "cpu", "--write", str(page), "--parts", "works"])
    assert program.main() == 0
    assert "a table" in page.read_text()


def test_all_parts_fit_the_time_that_is_promised() -> None:
    for device, most in (("cpu", 20), ("cuda", 8)):
        assert sum(part.minutes for part in PARTS.values() if part.on in ("", device)) <= most


def test_the_part_for_gpus_runs(capsys: pytest.CaptureFixture[str]) -> None:
    gpu.print_table(torch.device("cpu"), tiny=True)
    assert capsys.readouterr().out.count("| segmentation, ") == 2
