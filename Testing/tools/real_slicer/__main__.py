"""``python -m real_slicer SLICER``: see docs/how-to/real-slicer.md."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from own_folder import empty_own_folder

from real_slicer.application import NotSlicer, Slicer
from real_slicer.display import NoDisplay, display
from real_slicer.page import write_page
from real_slicer.parts import PARTS
from real_slicer.report import PartReport
from real_slicer.session import Options, run_parts

PASSED, FAILED, UNUSABLE = 0, 1, 2
REPOSITORY = Path(__file__).resolve().parents[3]


def main(arguments: list[str] | None = None) -> int:
    """Run the parts and write the page.

    Args:
        arguments: The command line; that of the process by default.

    Returns:
        Exit status: 0 when all passed, 1 when something failed, 2 when Slicer could not be used at all.
    """
    options = _parse(arguments)
    wanted = [part for part in PARTS if not options.parts or part.name in options.parts]
    empty_own_folder(options.output)
    try:
        with display(always_own=options.own_display):
            slicer = Slicer.find(options.slicer)
            print(f"{slicer.version} ({' '.join(slicer.command)})", flush=True)
            reports = run_parts(slicer, wanted, Options(
                REPOSITORY, options.output.resolve(), options.watch_seconds, options.timeout_factor,
                tuple(re.compile(pattern) for pattern in options.allow),
            ))
    except (NotSlicer, NoDisplay) as problem:
        print(problem, file=sys.stderr)
        return UNUSABLE
    page = write_page(options.output, slicer.version, reports)
    status = status_of(reports, require_packages=options.require_packages)
    print(f"{'Passed' if status == PASSED else 'FAILED'}. The page of pictures: {page}")
    return status


def status_of(reports: list[PartReport], *, require_packages: bool) -> int:
    """Return the exit status for what the parts reported."""
    failed = any(report.failed for report in reports)
    lacking = any(step.lacks_packages for report in reports for step in report.steps)
    return FAILED if failed or (require_packages and lacking) else PASSED


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    names = [part.name for part in PARTS]
    parser = argparse.ArgumentParser(prog="python -m real_slicer", description=__doc__)
    parser.add_argument("slicer", nargs="?", default="", help="Slicer's executable, or a command that starts it")
    parser.add_argument("--output", type=Path, default=Path("build/real_slicer"), help="folder of the page, emptied")
    parser.add_argument("--parts", nargs="+", choices=names, metavar="PART", help=f"only these: {', '.join(names)}")
    parser.add_argument("--watch-seconds", type=float, default=60.0, help="how long each panel width is watched")
    parser.add_argument("--timeout-factor", type=float, default=1.0, help="more time, on a slow computer")
    parser.add_argument("--own-display", action="store_true", help="use Xvfb even where there is a display")
    parser.add_argument("--require-packages", action="store_true", help="fail where PyTorch or nnU-Net is missing")
    parser.add_argument("--allow", action="append", default=[], metavar="REGEX", help="accept these errors in the log")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
