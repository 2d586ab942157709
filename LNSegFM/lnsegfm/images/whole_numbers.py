"""Whether the voxels of a label image hold whole numbers."""

from __future__ import annotations

import numpy as np

from lnsegfm.base.errors import UserError

_TODO = "Choose a label image: 0 for background, 1 for lymph nodes."


def check_whole_numbers(values: np.ndarray) -> None:
    """Check that all values of a label image are whole numbers.

    Args:
        values: Voxels, of any shape.

    Raises:
        UserError: Some are NaN, infinite or not whole.
    """
    if values.dtype.kind != "f":
        return
    why = ""
    if not np.isfinite(values).all():
        why = "Some of its voxels are NaN or infinite."
    elif not np.array_equal(values, np.rint(values)):
        why = "Its voxels hold numbers that are not whole, such as probabilities."
    if why:
        raise UserError("The segmentation cannot be used.", why, _TODO)
