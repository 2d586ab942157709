"""What the benchmark is to show, and whether it did."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Targets:
    """Collects what was measured beside what was wanted."""

    _rows: list[tuple[str, str, float, bool]] = field(default_factory=list)

    def at_least(self, what: str, found: float, wanted: float) -> None:
        """Note a value that is to be high."""
        self._rows.append((what, f"at least {wanted:g}", found, found >= wanted))

    def at_most(self, what: str, found: float, wanted: float) -> None:
        """Note a value that is to be low."""
        self._rows.append((what, f"at most {wanted:g}", found, found <= wanted))

    def print_table(self) -> None:
        """Print all that were noted."""
        if self._rows:
            print("### Targets\n\n| what | target | measured | met |\n|---|---|---|---|")
            for what, wanted, found, met in self._rows:
                print(f"| {what} | {wanted} | {found:.4g} | {'yes' if met else '**no**'} |")
            print()
