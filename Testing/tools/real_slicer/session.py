"""Runs the parts one after another and gathers what they report."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from real_slicer.application import Slicer
from real_slicer.jobs_left import end_jobs, running_jobs
from real_slicer.parts import Part
from real_slicer.report import PartReport, Step, read_steps
from real_slicer.slicer_log import by_step, parse, printed_traceback, sort_errors

SCRIPT = Path(__file__).resolve().parent / "inside" / "start.py"
CONFIGURATION = "LNSEGFM_REAL_SLICER"
"""Environment variable with the path of the part's settings, in JSON."""
MODULES = ("LNSegFM", "LNSegFMFineTune")
_TAIL_LINES = 60


@dataclass(frozen=True)
class Options:
    """How the parts are run.

    Args:
        repository: Where the modules are.
        output: Folder for everything that is written.
        watch_s: How long each panel width is watched.
        timeout_factor: Multiplies the parts' timeouts.
        allowed: Errors in Slicer's log that do not count.
    """

    repository: Path
    output: Path
    watch_s: float = 60.0
    timeout_factor: float = 1.0
    allowed: tuple[re.Pattern[str], ...] = ()


def run_parts(slicer: Slicer, parts: Sequence[Part], options: Options) -> list[PartReport]:
    """Run the parts in order, also after one that failed; leave no job behind."""
    reports = []
    try:
        for part in parts:
            print(f"--- {part.title}", flush=True)
            reports.append(_run(slicer, part, options))
            for step in reports[-1].steps:
                print(f"{step.state:8} {step.seconds:6.1f} s  {step.title}{': ' if step.words else ''}{step.words}")
            for error in reports[-1].errors:
                print(f"log      {error.level} {error.text}")
    finally:
        for home in (options.output / "homes").glob("*"):
            end_jobs(home)
    return reports


def _run(slicer: Slicer, part: Part, options: Options) -> PartReport:
    folder = options.output / part.name
    home = options.output / "homes" / (part.home or part.name)
    settings = options.output / "settings"
    for each in (folder, home, settings):
        each.mkdir(parents=True, exist_ok=True)
    configuration = folder / "configuration.json"
    configuration.write_text(json.dumps({
        "part": part.name, "folder": str(folder), "repository": str(options.repository), "watch_s": options.watch_s,
    }))
    environment = {CONFIGURATION: str(configuration), "LNSEGFM_HOME": str(home)}
    if os.name != "nt":
        environment["XDG_CONFIG_HOME"] = str(settings)  # where Qt keeps settings files
    timeout_s = (part.timeout_s + part.watching * options.watch_s) * options.timeout_factor
    output = folder / "output.txt"
    modules = [options.repository / name for name in MODULES]
    status = slicer.run(SCRIPT, modules, environment, output, testing=part.testing, timeout_s=timeout_s)
    return _gather(part, folder, home, status, timeout_s, options)


def _gather(
    part: Part, folder: Path, home: Path, status: int | None, timeout_s: float, options: Options
) -> PartReport:
    steps, content = read_steps(folder / "report.json")
    printed = (folder / "output.txt").read_text(encoding="utf-8", errors="replace")
    tail = "\n".join(printed.splitlines()[-_TAIL_LINES:])
    report = PartReport(part.name, part.title, folder, steps, output_tail=tail)
    log_file = Path(content.get("log_file") or folder / "none")
    text = log_file.read_text(encoding="utf-8", errors="replace") if log_file.is_file() else ""
    (folder / "slicer-log.txt").write_text(text, encoding="utf-8")
    report.log = by_step(parse(text))
    report.errors, report.notes = sort_errors(report.log, options.allowed)
    report.errors += printed_traceback(printed, text)
    _judge_end(report, content, status, timeout_s)
    if part.leaves_job:
        _judge_job(report, home, content)
    return report


def _judge_end(report: PartReport, content: dict[str, Any], status: int | None, timeout_s: float) -> None:
    begun = content.get("begun", "")
    outside = "after the last step" if report.steps else "before the first step"
    where = f"in the step '{begun}'" if begun else outside
    if status is None:
        report.add_failure("timeout", "Slicer ends", f"Slicer hung {where} and was killed after {timeout_s:.0f} s.")
    elif not content:
        words = f"Slicer ended with status {status} without running the script; see what it printed."
        report.add_failure("start", "Slicer runs the script", words)
    elif not content.get("ended"):
        words = f"Slicer ended with status {status} {where}: it crashed or was closed."
        report.add_failure("crash", "Slicer ends", words)
    elif status != 0 and not report.failed:
        words = f"All steps passed, but Slicer ended with status {status}; see what it printed."
        report.add_failure("status", "Slicer ends with status 0", words)


def _judge_job(report: PartReport, home: Path, content: dict[str, Any]) -> None:
    title = "The job continues after Slicer has quit"
    if not content.get("left_job"):
        return  # the step that starts it was skipped, and says why
    running = running_jobs(home)
    if running:
        report.steps.append(Step("job-outlives-slicer", title, "passed"))
    else:
        words = f"Expected a running job below {home / 'jobs'}, but there is none."
        report.add_failure("job-outlives-slicer", title, words)
