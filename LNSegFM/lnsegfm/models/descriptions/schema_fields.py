"""Naming a field that lies inside a part that is read on its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lnsegfm.base.schema import SchemaError


@contextmanager
def within(where: str) -> Iterator[None]:
    """Let a `SchemaError` of the block name its field from the top of the file.

    Args:
        where: The part that the block reads, as ``configurations.3d_fullres``.
    """
    try:
        yield
    except SchemaError as error:
        raise SchemaError(f"{where}.{error.where}" if error.where else where, error.why) from error
