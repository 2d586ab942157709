"""Exceptions in a user's words, with the names of the user's files."""

from __future__ import annotations

import errno
import os

import pytest

from lnsegfm.base.errors import UserError
from lnsegfm.base.failures import as_user_error, explained
from lnsegfm.base.wording import without_temporary

NUMBERS = (
    "ENOSPC", "EROFS", "EACCES", "EPERM", "ENAMETOOLONG", "ENOENT", "ENOTDIR", "EEXIST", "EISDIR", "ELOOP", "EMFILE",
    "ENFILE", "EFBIG", "EIO", "EBUSY", "EAGAIN", "ENOMEM", "EDQUOT", "ESTALE",
)  # fmt: skip


@pytest.mark.parametrize("name", [name for name in NUMBERS if hasattr(errno, name)])
def test_an_error_of_the_system_names_the_file_and_what_to_do(name: str) -> None:
    number = getattr(errno, name)
    error = explained(OSError(number, os.strerror(number), "/data/.tmp-0123abcd-labels.nrrd"))
    assert error is not None
    assert error.what.endswith(".") and "Error" not in error.what and error.todo.endswith(".")
    assert error.why == f"/data/labels.nrrd: {os.strerror(number)}."


def test_what_was_tried_is_said_with_the_reason() -> None:
    error = as_user_error(OSError(errno.ENOSPC, "No space left on device"), "The job's status cannot be written.")
    assert error.what == "The disk is full."
    assert error.why == "The job's status cannot be written. No space left on device."


@pytest.mark.parametrize(
    ("text", "folder", "shown"),
    [
        ("'/a b/.tmp-0123abcd-ct.nii.gz' is torn", "", "'/a b/ct.nii.gz' is torn"),
        ("C:\\x\\.tmp-0123abcd-.try-out.nrrd: no", "", "C:\\x\\out.nrrd: no"),
        ("/out/.try-out.nrrd: no", "", "/out/out.nrrd: no"),
        ("/h/models/.tmp-ab_12xyz/model/plans.json: no", "", "/h/models/.../model/plans.json: no"),
        (".tmp-ab_12xyz cannot be installed as a model.", "", ".tmp-ab_12xyz cannot be installed as a model."),
        (".tmp-ab_12xyz cannot be installed as a model.", "the folder", "the folder cannot be installed as a model."),
        (".tmp-ab_12xyz/plans.json: no", "", ".../plans.json: no"),
        (".tmp-ab_12xyz cannot be installed as a model.", "a.zip", "a.zip cannot be installed as a model."),
        ("/h/exchange/.tmp-ab_12xyz/image.nrrd cannot be read", "", "the CT cannot be read"),
        ("see /home/me/LN/exchange/.tmp-ab_12xyz/instances.nrrd: torn", "", "see the result: torn"),
        (".tmp-notes.txt and a.try-out stay", "", ".tmp-notes.txt and a.try-out stay"),
    ],
)
def test_temporary_names_become_those_of_the_users_files(text: str, folder: str, shown: str) -> None:
    assert without_temporary(text, folder) == shown


def test_an_error_in_words_keeps_its_kind_and_gets_the_users_names() -> None:
    error = UserError("It failed.", "'.tmp-0123abcd-ct.nrrd' is torn.")
    assert as_user_error(error) is error
    assert str(error) == "It failed. 'ct.nrrd' is torn."


def test_an_error_of_no_known_kind_is_not_explained() -> None:
    assert explained(KeyError("x")) is None and explained(RuntimeError("odd")) is None
