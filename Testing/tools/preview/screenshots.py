"""``python -m preview.screenshots``: the pictures of README and tutorial, and of the panels at several widths."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from preview.__main__ import write_pictures
from preview.walk import REPOSITORY

TARGET = REPOSITORY / "Resources" / "Screenshots"
# Shades of each channel lie this far apart; finer ones are the noise of rendering, which no PNG can compress.
SHADE = 8
# What README and tutorial show: file name by step of the walk.
SHOWN = {
    **{
        step: step
        for step in (
            "first-start", "models", "queue", "worklist", "review", "probability", "correction", "cases", "plan",
            "training", "evidence",
        )
    },
    "adapted": "segment",
}  # fmt: skip
# Here nothing is in the views yet, or the panel alone is the subject.
PANEL_ONLY = ("first-start", "models", "cases", "plan")
# The panel in the window, from its left and upper border, in pixels.
PANEL_BOX = (0, 30, 424, 838)


def main() -> None:
    """Walk, and replace the committed pictures."""
    folder = Path("build/screenshots")
    pictures = write_pictures(folder).pictures
    for old in TARGET.glob("*.png"):
        old.unlink()
    for step, name in SHOWN.items():
        size = shrink(folder / pictures[step], TARGET / f"{name}.png", panel_only=step in PANEL_ONLY)
        print(f"{name}.png: {size / 1000:.0f} kB")


def shrink(source: Path, target: Path, *, panel_only: bool) -> int:
    """Write a picture with a palette, for a repository keeps every version of it; return its size in bytes."""
    with Image.open(source) as image:
        picture = image.convert("RGB")
    if panel_only:
        picture = picture.crop(PANEL_BOX)
    picture = picture.point([min(255, round(value / SHADE) * SHADE) for value in range(256)] * 3)
    # The colours of small lymph nodes count as much as those of large grey areas.
    palette = picture.quantize(method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    palette.save(target, optimize=True)
    return target.stat().st_size


if __name__ == "__main__":
    main()
