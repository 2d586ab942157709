"""The self-tests of both modules, as Slicer runs them."""

from __future__ import annotations

from collections.abc import Callable

import slicer

from real_slicer.inside.steps import Skipped, Steps, expect

MODULES = {"self-test-segment": ("LNSegFM",), "self-test-fine-tune": ("LNSegFMFineTune",)}


def run(steps: Steps, part: str) -> None:
    """Run the self-tests of a part."""
    for module in MODULES.get(part, ("LNSegFM", "LNSegFMFineTune")):
        steps.run(f"{module}-test", f"Self-test of {module}", self_test(module))


def self_test(module: str) -> Callable[[], None]:
    """Return a step that runs a module's self-test."""

    def step() -> None:
        require_packages()
        expect(module in slicer.selfTests, f"Expected the module {module} to be loaded; see Slicer's log.")
        slicer.selfTests[module](msec=0)

    return step


def require_packages() -> None:
    """Skip a step where Slicer's Python cannot segment or train."""
    from LNSegFMLib.setup.packages import missing_packages

    missing = missing_packages()
    if missing:
        raise Skipped(f"Slicer's Python lacks {', '.join(missing)}.", packages=True)
