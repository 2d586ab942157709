"""Damaged files, one after the other: read, refused, or a fault."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from torture import mutations
from torture.child import Outcome, call
from torture.mutations import Damage
from torture.targets import Target


@dataclass
class Tally:
    """What became of the damaged files of a kind.

    Args:
        counts: How many, by `torture.child.Outcome.kind`; ``cut`` counts files without their end among them.
        faults: What must not happen, each said once: never the file itself.
    """

    counts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, outcome: Outcome, *, wrong: str = "") -> None:
        """Count an outcome; ``wrong`` is why a file that was read should have been refused."""
        self.counts[outcome.kind] += 1
        if outcome.kind == "returned" and wrong:
            self.faults[f"{name}: {wrong}"] += 1
        if outcome.kind in ("raised", "hung"):
            self.faults[f"{name}: {outcome.kind} {outcome.text}".strip()] += 1


class Fuzzer:
    """A kind of file with its sound example.

    Args:
        target: The kind.
        room: Folder for the example.
    """

    def __init__(self, target: Target, room: Path) -> None:
        self.target, self.tally = target, Tally()
        self._template = room / target.name.replace(" ", "-")
        self._template.mkdir()
        self._file = target.make(self._template).relative_to(self._template)
        self._content = (self._template / self._file).read_bytes()
        with self._copy(self._content) as folder:
            sound = call(self._read_in(folder))
        if sound.kind != "returned":
            raise AssertionError(f"The sound {target.name} is not read: {sound}")

    def run(self, examples: int, number: int) -> None:
        """Damage and read it so many times; as many again without its end. ``number`` seeds the damage."""
        self._try_all(examples, number, self.target.damage, cut=False)
        if self.target.whole:
            self._try_all(max(1, examples // 3), number, mutations.cuts, cut=True)

    def _try_all(self, examples: int, number: int, damages: object, *, cut: bool) -> None:
        @seed(number)
        @settings(max_examples=examples, database=None, deadline=None, phases=[Phase.generate],
                  suppress_health_check=list(HealthCheck))  # fmt: skip
        @given(damage=damages)
        def one(damage: Damage) -> None:
            self._try(damage, cut=cut)

        one()

    def _try(self, damage: Damage, *, cut: bool) -> None:
        content = damage(self._content)
        if content.strip() == self._content.strip() or (cut and len(content) >= self.target.enough > 0):
            return
        with self._copy(content) as folder:
            outcome = call(self._read_in(folder))
        self.tally.counts["cut"] += cut
        self.tally.add(self.target.name, outcome, wrong="read without its end" if cut else "")

    @contextmanager
    def _copy(self, content: bytes) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="torture-") as room:
            folder = Path(room) / "copy"
            shutil.copytree(self._template, folder)
            (folder / self._file).write_bytes(content)
            yield folder

    def _read_in(self, folder: Path) -> Callable[[], object]:
        return lambda: self.target.read(folder / self._file)


def fuzzers(kinds: Sequence[Target], room: Path) -> list[Fuzzer]:
    """Return a fuzzer for each kind of file."""
    return [Fuzzer(each, room) for each in kinds]
