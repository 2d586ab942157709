"""The queue of volumes as text, so that it outlives a reload of the module's code."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, replace

from lnsegfm.base.errors import UserError
from lnsegfm.segmentation.segment_options import SegmentOptions
from lnsegfm.segmentation.segment_queue import Entry


def dump_queue(entries: Iterable[Entry]) -> str:
    """Return entries as JSON; their jobs are pairs of `SegmentOptions` and whether each lymph node gets a segment."""
    rows = []
    for entry in entries:
        options, segment_per_node = entry.job
        rows.append(
            asdict(entry)
            | {"job": {**options.to_json(), "probability": options.probability, "segment_per_node": segment_per_node}}
        )
    return json.dumps(rows)


def load_queue(text: str) -> list[Entry]:
    """Return the entries of `dump_queue`; those that cannot be read, as after a change of the code, are left out."""
    try:
        rows = list(json.loads(text or "[]"))
    except (ValueError, TypeError):
        return []
    entries = []
    for row in rows:
        try:
            job = row["job"]
            options = replace(SegmentOptions.from_json(job), probability=bool(job["probability"]))
            entries.append(Entry(**{**row, "job": (options, bool(job["segment_per_node"]))}))
        except (UserError, TypeError, KeyError, ValueError):
            continue
    return entries
