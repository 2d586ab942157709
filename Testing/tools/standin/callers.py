"""Whose code is running: that of a module under test, or Slicer's, the stand-in's and the test's own."""

from __future__ import annotations

from types import FrameType

_OTHERS = (
    "slicer", "standin", "PySide6", "shiboken6", "shibokensupport", "_pytest", "pytest", "pluggy", "test_", "conftest",
    "vtk", "numpy", "unittest", "importlib", "inspect", "enum", "abc", "typing", "functools", "contextlib", "logging",
    "__main__", "preview", "demo", "bench",
)  # fmt: skip


def is_module_code(frame: FrameType) -> bool:
    """Return whether a frame belongs to the code of a Slicer module."""
    return not str(frame.f_globals.get("__name__", "")).startswith(_OTHERS)
