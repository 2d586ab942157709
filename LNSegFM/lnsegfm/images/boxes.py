"""The part of a CT that is meant: all of it, the patient's body, or a box of voxels."""

from __future__ import annotations

from typing import Literal

WHOLE: Literal["whole"] = "whole"
BODY: Literal["body"] = "body"
Box = tuple[int, int, int, int, int, int]
"""Half-open extents ``(i0, i1, j0, j1, k0, k1)`` in voxels, by the image's own axes."""
Region = Literal["whole", "body"] | Box
