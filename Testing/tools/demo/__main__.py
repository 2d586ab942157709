"""``python -m demo``: run the story and write the report."""

from __future__ import annotations

import argparse
from pathlib import Path

from demo.report import write_report
from demo.story import run_story


def main() -> None:
    """Run everything below ``build/demo``, which is emptied first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("build/demo"))
    parser.add_argument("--iterations", type=int, default=160, help="of the fine-tuning (default 160)")
    options = parser.parse_args()
    story = run_story(options.output, iterations=options.iterations)
    report = write_report(story, options.output / "report.html")
    print(f"\n{story.verdict()}\nReport: {report}")


if __name__ == "__main__":
    main()
