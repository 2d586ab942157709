"""What is run, each part in a Slicer process of its own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """One start of Slicer.

    Args:
        name: Of the part, and of its function in `real_slicer.inside.start`.
        title: For the page.
        timeout_s: Then Slicer is killed; `watching` comes on top.
        testing: Whether Slicer runs in its testing mode.
        home: Name of the home folder; parts with the same one follow each other in it.
        watching: How many panel widths are watched for a while.
        leaves_job: Whether a job has to go on when Slicer has ended.
    """

    name: str
    title: str
    timeout_s: float
    testing: bool = False
    home: str = ""
    watching: int = 0
    leaves_job: bool = False


PARTS = (
    Part("self-test-segment", "Self-test of LN-Seg-FM, testing mode", 900, testing=True),
    Part("self-test-fine-tune", "Self-test of LN-Seg-FM Fine-Tuning, testing mode", 1800, testing=True),
    Part("self-tests-as-user", "Both self-tests as with Reload and Test, without anyone at the keyboard", 2700),
    Part("walk", "Panels, Segment Editor, scenes, and Slicer quits during a job", 1200, home="walk", watching=3,
         leaves_job=True),
    Part("walk-again", "A second Slicer finds the job, both modules are reloaded", 600, home="walk"),
    Part("day", "The day of a clinician, from the first start to an adapted model", 2700),
)  # fmt: skip
