"""The packages that only reproducing the paper needs."""

from __future__ import annotations

import importlib
from types import ModuleType

from lnsegfm.base.errors import UserError


def research_package(name: str) -> ModuleType:
    """Import a module of an optional package.

    Args:
        name: Such as ``pydicom`` or ``skimage.draw``.

    Raises:
        UserError: It is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(
            f"The Python package {name.partition('.')[0]} is not installed.", f"{error}.",
            "Type, in the folder of this project: pip install -e '.[research]'",
        ) from error
