"""File names of images that can be written; apart from the writing, which loads SimpleITK."""

from __future__ import annotations

from pathlib import Path

from lnsegfm.base.errors import UserError
from lnsegfm.formats.given_files import check_name

IMAGE_SUFFIXES = (".nrrd", ".nii.gz", ".nii", ".mha")
"""Of formats that keep everything in one file."""


def check_image_name(path: Path) -> None:
    """Check that `lnsegfm.formats.image_files.write_image` knows the format that a file's name asks for.

    Raises:
        UserError: It does not, or its name cannot be given to image libraries.
    """
    check_name(path, "written")
    if not path.name.lower().endswith(IMAGE_SUFFIXES):
        raise UserError(
            f"The image cannot be written as {path.name}.",
            "Only formats that keep everything in one file are written.",
            f"Choose a name that ends in {', '.join(IMAGE_SUFFIXES)}.",
        )
