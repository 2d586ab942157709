"""Python packages that are not there or do not work, in words of what to type."""

from __future__ import annotations

import os
import re

from lnsegfm.base.errors import UserError

# Where the name to install is not the name to import.
_TO_INSTALL = {
    "yaml": "pyyaml", "PIL": "pillow", "skimage": "scikit-image", "sklearn": "scikit-learn",
    "surface_distance": "surface-distance",
}
# The user's ranges, which have their reasons; see Resources/requirements.txt.
_RANGES = {"torch": "torch>=2.6,!=2.9.*", "nnunetv2": "nnunetv2>=2.6,<3"}
_OWN = ("lnsegfm", "LNSegFMLib", "LNSegFMFineTuneLib")
_IN_A_LOG = re.compile(r"^(?:ModuleNotFoundError|ImportError): No module named '([^']+)'", re.MULTILINE)


def missing_package(error: BaseException) -> UserError | None:
    """Return what to do about an import that failed, or None where no foreign package is missing or broken."""
    name = (getattr(error, "name", None) or "").partition(".")[0]
    if not isinstance(error, ImportError) or not name or name in _OWN:
        return None
    if isinstance(error, ModuleNotFoundError):
        return _missing(name)
    if str(error).startswith("cannot import name"):
        why = f"It lacks what is needed, so its version does not fit: {error}."
    else:
        why = f"{error}."
    return UserError(f"The Python package {name} does not work.", why, _way_to(name, again=True))


def missing_package_in(log: str) -> UserError | None:
    """Return the same of the end of a process's log, where that names a package that is missing."""
    found = _IN_A_LOG.findall(log)
    name = found[-1].partition(".")[0] if found else ""
    return _missing(name) if name and name not in _OWN else None


def _missing(name: str) -> UserError:
    return UserError(f"The Python package {name} is missing.", "It is needed for this.", _way_to(name, again=False))


def _way_to(name: str, *, again: bool) -> str:
    if os.environ.get("SLICER_HOME"):
        return "Open the module LN-Seg-FM in Slicer and install what is missing under Setup."
    wanted = _RANGES.get(name, _TO_INSTALL.get(name, name))
    quoted = f'"{wanted}"' if set(wanted) & set("<>!*") else wanted
    return f"Type: pip install {'--force-reinstall ' if again else ''}{quoted}"
