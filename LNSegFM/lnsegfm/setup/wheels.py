"""A folder of wheels, from which packages are installed on a machine without the internet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lnsegfm.base.errors import UserError


def check_wheels(folder: Path, requirements: Sequence[str]) -> None:
    """Check that a folder holds a wheel for each requirement that this Python can install.

    What these packages need in turn is found out by pip itself, before it installs anything.

    Args:
        folder: Folder of ``.whl`` files.
        requirements: As in ``requirements.txt``.

    Raises:
        UserError: The folder holds no wheels, or lacks some of the packages; the message says which, and for a wheel
            of another Python or version, what is there.
    """
    from packaging.requirements import Requirement
    from packaging.tags import sys_tags
    from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

    fitting = set(sys_tags())
    present: dict[str, list[tuple[str, bool]]] = {}
    for path in sorted(folder.glob("*.whl")):
        try:
            name, version, _, tags = parse_wheel_filename(path.name)
        except InvalidWheelFilename:
            continue
        present.setdefault(name, []).append((str(version), not fitting.isdisjoint(tags)))
    if not present:
        raise UserError(f"{folder.name} holds no packages.", "There is no wheel (.whl) in it.", _TODO)
    lacking = []
    for line in requirements:
        requirement = Requirement(line)
        found = present.get(canonicalize_name(requirement.name), [])
        if any(fits and requirement.specifier.contains(version, prereleases=True) for version, fits in found):
            continue
        others = ", ".join(version if fits else f"{version} for another Python or system" for version, fits in found)
        lacking.append(f"{line} (there is only {others})" if others else line)
    if lacking:
        raise UserError(f"{folder.name} does not hold all the packages.", f"It lacks {'; '.join(lacking)}.", _TODO)


_TODO = (
    "On a computer of the same kind with internet access and the same version of Slicer, run "
    '"PythonSlicer -m pip download -d FOLDER" with the packages of requirements.txt, and copy that folder here.'
)
