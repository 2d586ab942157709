"""Sections that segment: volumes, the queue, the worklist."""
