"""Segments of lymph nodes: their voxels, records and edits."""
