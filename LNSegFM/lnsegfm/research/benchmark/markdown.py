"""Tables and numbers in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lnsegfm.jobs.method_names import METHODS
from lnsegfm.research.benchmark.aggregate import Estimate
from lnsegfm.research.benchmark.tables import DECIMALS

NOTHING = "-"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table whose first column is text and whose other columns are numbers."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in row) + " |" for row in (header, rule, *rows))


def estimate(value: Estimate | None) -> str:
    """Return "mean ± SD" in percent, or a dash."""
    if value is None:
        return NOTHING
    return f"{value.mean:.{DECIMALS}f} ± " + (NOTHING if value.sd is None else f"{value.sd:.{DECIMALS}f}")


def signed(points: float | None) -> str:
    """Return a difference in percentage points with its sign, or a dash."""
    return NOTHING if points is None else f"{points:+.{DECIMALS}f}"


def p_value(p: float | None) -> str:
    """Return a p value to three decimals, the smallest as "<0.001", or a dash."""
    if p is None:
        return NOTHING
    return "<0.001" if p < 0.0005 else f"{p:.3f}"


def ranked(text: str, rank: int | None) -> str:
    """Mark the best in bold and the second best underlined, as the paper does."""
    # GitHub strips <u> and underlines <ins>.
    return {1: f"**{text}**", 2: f"<ins>{text}</ins>"}.get(rank or 0, text)


def method_name(method: str, gamma: int = 0, usual: int = 0) -> str:
    """Return the paper's name of a method, with its γ unless that is the usual one."""
    return METHODS[method].name + (f" (γ {gamma})" if gamma and gamma != usual else "")


def shots_name(shots: int) -> str:
    """Return for example "3-shot"; "all cases" for All-shot's 0."""
    return f"{shots}-shot" if shots else "all cases"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
