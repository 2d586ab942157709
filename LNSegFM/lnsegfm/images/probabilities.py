"""The foreground probability of a voxel in eight bits."""

from __future__ import annotations

CERTAIN = 255
"""The value of probability 1; 0 is 0."""
FOREGROUND_FROM = 128
"""The lowest value of a voxel that the model takes for lymph node."""
