"""The figures of a run, as a table and on a page of the documentation."""

from __future__ import annotations

import importlib.metadata
import platform
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from torture.cuts import CutTally
from torture.fuzzing import Tally

PAGE = Path(__file__).resolve().parents[3] / "docs" / "explanation" / "robustness.md"
_BEGIN, _END = "<!-- figures: made by `make torture` -->", "<!-- end of figures -->"


@dataclass
class Figures:
    """What a run has tried and seen.

    Args:
        seed: Its seed.
        cuts: How often a change was cut, by kind of cut.
        files: By kind of file, what became of the damaged ones.
        faults: What must not happen, and how often it did.
    """

    seed: int
    cuts: Counter[str] = field(default_factory=Counter)
    files: dict[str, Counter[str]] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)

    def add_cuts(self, tally: CutTally) -> None:
        """Add what became of cut changes."""
        self.cuts += tally.counts
        self.faults += tally.faults

    def add_files(self, name: str, tally: Tally) -> None:
        """Add what became of the damaged files of a kind."""
        self.files[name] = tally.counts
        self.faults += tally.faults

    def table(self) -> str:
        """Return all figures as Markdown."""
        lines = ["| cut | times |", "|---|---|"]
        lines += [f"| {name} | {count} |" for name, count in sorted(self.cuts.items())]
        lines += ["", "| file | damaged | of these without its end | refused | read | ended the reading process |",
                  "|---|---|---|---|---|---|"]  # fmt: skip
        for name, counts in self.files.items():
            tried = sum(counts[kind] for kind in ("refused", "returned", "raised", "killed", "hung"))
            row = (tried, counts["cut"], counts["refused"], counts["returned"], counts["killed"])
            lines.append(f"| {name} | {' | '.join(map(str, row))} |")
        total = sum(sum(counts[kind] for kind in ("refused", "returned", "raised", "killed", "hung"))
                    for counts in self.files.values())  # fmt: skip
        lines += ["", f"{sum(self.cuts.values())} cuts and {total} damaged files; "
                  f"**{sum(self.faults.values())} things that must not happen**."]  # fmt: skip
        return "\n".join(lines)


def write_page(figures: Figures) -> None:
    """Put the figures into the page."""
    packages = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("SimpleITK", "pydicom", "torch"))
    about = (
        f"Run on {datetime.now(timezone.utc).date().isoformat()} with seed {figures.seed}; Python "
        f"{platform.python_version()}, {packages}."
    )
    text = PAGE.read_text(encoding="utf-8")
    block = f"{_BEGIN}\n{about}\n\n{figures.table()}\n{_END}"
    PAGE.write_text(re.sub(f"{re.escape(_BEGIN)}.*{re.escape(_END)}", lambda found: block, text, flags=re.S),
                    encoding="utf-8")  # fmt: skip
