"""The page of pictures: one self-contained HTML file."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape
from pathlib import Path

from real_slicer.report import PartReport, Step
from real_slicer.slicer_log import ERRORS, Entry

_MOST_ENTRIES = 40
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 1100px; color: #222; }
table { border-collapse: collapse; } td, th { padding: .2em .8em .2em 0; text-align: left; vertical-align: top; }
.passed { color: #176b2c; } .failed, .error { color: #b3001b; } .skipped, .note { color: #8a5a00; }
.step { border-top: 1px solid #ccc; padding: .6em 0; } img { max-width: 100%; border: 1px solid #999; margin: .3em 0; }
pre { background: #f5f5f5; padding: .6em; overflow-x: auto; font-size: 12px; white-space: pre-wrap; }
"""


def write_page(folder: Path, version: str, reports: list[PartReport]) -> Path:
    """Write ``index.html``.

    Args:
        folder: Where it is written.
        version: What Slicer says of itself.
        reports: The parts, in order.

    Returns:
        The path of the page.
    """
    verdict = "failed" if any(report.failed for report in reports) else "passed"
    body = [
        f"<h1>LN-Seg-FM in {escape(version)}: <span class='{verdict}'>{verdict}</span></h1>",
        "<table><tr><th>Part<th>Passed<th>Failed<th>Skipped<th>Errors in the log</tr>",
        *(_row(report) for report in reports),
        "</table>",
        *(_part(report) for report in reports),
    ]
    page = folder / "index.html"
    head = f"<head><meta charset='utf-8'><title>LN-Seg-FM in a real Slicer</title><style>{_STYLE}</style></head>"
    html = f"<!DOCTYPE html><html lang='en'>{head}<body>{''.join(body)}</body></html>"
    page.write_text(html, encoding="utf-8")
    return page


def _row(report: PartReport) -> str:
    counts = [sum(step.state == state for step in report.steps) for state in ("passed", "failed", "skipped")]
    state = "failed" if report.failed else "passed"
    cells = "".join(f"<td>{count}" for count in (*counts, len(report.errors)))
    return f"<tr><td><a class='{state}' href='#{report.name}'>{escape(report.title)}</a>{cells}</tr>"


def _part(report: PartReport) -> str:
    parts = [f"<h2 id='{report.name}'>{escape(report.title)}</h2>"]
    if report.errors:
        parts.append(f"<h3 class='error'>Errors in Slicer's log</h3><pre class='error'>{_lines(report.errors)}</pre>")
    parts += [_step(report, step) for step in report.steps]
    if report.notes:
        entries = f"<pre class='note'>{_lines(report.notes)}</pre>"
        parts.append(f"<details><summary>{len(report.notes)} errors of others in the log</summary>{entries}</details>")
    printed = f"<pre>{escape(report.output_tail)}</pre>"
    parts.append(f"<details><summary>What Slicer printed last</summary>{printed}</details>")
    return "".join(parts)


def _step(report: PartReport, step: Step) -> str:
    words = f"<p class='{step.state}'>{escape(step.words)}</p>" if step.words else ""
    pictures = "".join(_picture(report.folder / name) for name in step.pictures)
    entries = report.log.get(step.name, [])
    shown = [entry for entry in entries if entry.level != "DEBUG"]
    log = f"<details><summary>Log: {len(shown)} entries</summary><pre>{_lines(shown)}</pre></details>" if shown else ""
    head = f"<b class='{step.state}'>{step.state}</b> {escape(step.title)} ({step.seconds:.1f} s)"
    return f"<div class='step' id='{report.name}-{step.name}'>{head}{words}{pictures}{log}</div>"


def _picture(path: Path) -> str:
    if not path.is_file():
        return f"<p class='note'>The picture {escape(path.name)} is missing.</p>"
    content = base64.b64encode(path.read_bytes()).decode("ascii")
    return f"<div><img alt='{escape(path.stem)}' src='data:image/png;base64,{content}'></div>"


def _lines(entries: Iterable[Entry]) -> str:
    entries = list(entries)
    lines = []
    for entry in entries[:_MOST_ENTRIES]:
        text = escape(f"[{entry.level}][{entry.origin}] {entry.text}")
        lines.append(f"<span class='error'>{text}</span>" if entry.level in ERRORS else text)
    if len(entries) > _MOST_ENTRIES:
        lines.append(f"... and {len(entries) - _MOST_ENTRIES} more")
    return "\n".join(lines)
