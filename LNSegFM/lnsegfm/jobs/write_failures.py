"""What a job says when something could not be written: which folder is full, and how much is free there."""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from lnsegfm.base.errors import UserError
from lnsegfm.base.failures import as_user_error
from lnsegfm.base.wording import data_size

_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_TORN = {errno.EFBIG, errno.EIO}
# PyTorch and blosc2 say it in words only.
_FAILED_WRITING = re.compile(r"PytorchStreamWriter failed|write failed|No space left|File too large", re.IGNORECASE)


def explain_failure(error: Exception, folder: Path, what: str) -> UserError:
    """Return an error the user can read; of a disk that is full it names the folder and what is free there.

    Args:
        error: What was raised; what it was raised from counts too.
        folder: The job's folder, for errors that name no file.
        what: The sentence that says what failed, see `lnsegfm.base.failures.as_user_error`.
    """
    explained = as_user_error(error, what)
    for each in _causes(error):
        if isinstance(each, OSError):
            place = _folder_of(each, folder)
            if each.errno in _FULL:
                return UserError(
                    "The disk is full.", f"{_named(each)} could not be written: {each.strerror}; {_free(place)}.",
                    "Free some disk space, then resume the job.",
                )
            if each.errno in _TORN:
                return UserError(
                    "A file of the job could not be written whole.",
                    f"{_named(each)}: {each.strerror}; {_free(place)}.",
                    "Check the disk and the limits on the size of files (ulimit -f), then resume the job.",
                )
        elif isinstance(each, RuntimeError) and _FAILED_WRITING.search(str(each)):
            return UserError(
                what, f"A file could not be written: {_free(folder)}. {str(each).splitlines()[0]}",
                "Free some disk space, then resume the job.",
            )
    return explained


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = each.__cause__ or each.__context__


def _folder_of(error: OSError, folder: Path) -> Path:
    place = folder / Path(error.filename).parent if isinstance(error.filename, str) and error.filename else folder
    return next((each for each in (place, *place.parents) if each.is_dir()), folder)


def _named(error: OSError) -> str:
    name = Path(error.filename).name if isinstance(error.filename, str) and error.filename else ""
    # Files are written under another name first.
    return re.sub(r"^\.tmp-[0-9a-f]{8}-", "", name) or "A file of the job"


def _free(folder: Path) -> str:
    try:
        return f"the folder {folder} has {data_size(shutil.disk_usage(folder).free)} free"
    except OSError:
        return f"the folder {folder} takes no more"
