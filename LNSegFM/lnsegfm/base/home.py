"""Where everything lies that a user makes."""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from dataclasses import dataclass
from pathlib import Path

# Windows has no files of these names.
_WINDOWS_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}


@dataclass(frozen=True)
class Home:
    """The folder of one user's models, cases and jobs."""

    root: Path

    @classmethod
    def default(cls) -> Home:
        """Return ``LNSEGFM_HOME`` where it is set, else the platform's user data folder."""
        chosen = os.environ.get("LNSEGFM_HOME")
        if chosen:
            return cls(Path(chosen).expanduser().absolute())
        return cls(_user_data_folder() / "LNSegFM")

    def concerns(self, path: str) -> bool:
        """Tell whether a path is this folder, lies in it, or is one of the folders above it."""
        return bool(path) and Path(path).is_absolute() and (
            self.root.is_relative_to(path) or Path(path).is_relative_to(self.root)
        )  # fmt: skip

    @property
    def models(self) -> Path:
        """Folder of installed models."""
        return self.root / "models"

    @property
    def cases(self) -> Path:
        """Folder of corrected cases."""
        return self.root / "cases"

    @property
    def jobs(self) -> Path:
        """Folder of fine-tuning jobs."""
        return self.root / "jobs"

    @property
    def exchange(self) -> Path:
        """Folder of volumes on their way to the worker and back."""
        return self.root / "exchange"


def _user_data_folder() -> Path:
    # Own lines, not platformdirs: the modules must open in a Slicer into which nothing was installed yet, and must
    # then find the same folder as afterwards.
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")


def slug(text: str, *, limit: int = 40) -> str:
    """Turn a display name into a short, portable folder name (lower case ASCII letters, digits, hyphens)."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "-", ascii_text.lower()).strip("-")[:limit].strip("-") or "unnamed"
    return f"{name}-1" if name in _WINDOWS_DEVICES else name
