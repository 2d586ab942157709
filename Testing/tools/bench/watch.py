"""The time that the thread of the user interface takes for each step, and what in our code takes it."""

from __future__ import annotations

import cProfile
import pstats
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_OURS = ("LNSegFM",)
_WAIT_S = 600.0


@dataclass
class Block:
    """The longest time that the event loop stood still in a step.

    Args:
        cpu_ms: CPU time of the thread, which does not depend on what else the computer does.
        wall_ms: Time on the clock.
        cause: The function of ours that took most of it; empty where that was not asked for.
    """

    cpu_ms: float = 0.0
    wall_ms: float = 0.0
    cause: str = ""


@dataclass
class Watch:
    """Runs the event loop and keeps the longest block of each step.

    Args:
        causes: Profile every block, which makes it slower, and name its cause.
    """

    causes: bool = False
    blocks: dict[str, Block] = field(default_factory=dict)

    def until(self, what: str, condition: Callable[[], Any]) -> None:
        """Run the event loop until a condition holds."""
        from PySide6 import QtWidgets

        end = time.monotonic() + _WAIT_S
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"Waited in vain for {what}")
            self.timed(what, QtWidgets.QApplication.processEvents)
            time.sleep(0.001)

    def timed(self, what: str, action: Callable[[], Any]) -> Any:
        """Do what a user does."""
        profile = cProfile.Profile() if self.causes else None
        wall, cpu = time.perf_counter(), time.thread_time()
        result = action() if profile is None else profile.runcall(action)
        cpu_ms, wall_ms = 1000 * (time.thread_time() - cpu), 1000 * (time.perf_counter() - wall)
        before = self.blocks.setdefault(what, Block())
        if cpu_ms > before.cpu_ms:
            before.cpu_ms, before.cause = cpu_ms, "" if profile is None else _cause(profile)
        before.wall_ms = max(before.wall_ms, wall_ms)
        return result


def _cause(profile: cProfile.Profile) -> str:
    """Return the function of ours with the most time of its own and in what is not ours, and what that was."""
    stats: dict[Any, Any] = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    own = {function: values[2] for function, values in stats.items() if _is_ours(function)}
    called: dict[Any, tuple[float, str]] = {}
    for function, (*_, callers) in stats.items():
        for caller, (_calls, _all_calls, _own, total) in callers.items():
            if caller in own and not _is_ours(function):
                own[caller] += total
                called[caller] = max(called.get(caller, (0.0, "")), (total, _short(function)))
    if not own:
        return ""
    slowest = max(own, key=lambda function: own[function])
    inside = f" ({called[slowest][1]})" if slowest in called else ""
    return f"{_short(slowest)}{inside}, {1000 * own[slowest]:.0f} ms"


def _is_ours(function: tuple[str, int, str]) -> bool:
    return any(part.startswith(_OURS) for part in Path(function[0]).parts)


def _short(function: tuple[str, int, str]) -> str:
    file, _line, name = function
    return name.strip("<>").replace("built-in method ", "") if file == "~" else f"{Path(file).stem}.{name}"
