"""Errors of secret files say what to do about their cause."""

from errno import EACCES, ENOENT
from os import strerror
from pathlib import Path

import pytest

from runbookd.inventory.errors import unreadable_secret


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ENOENT, "(No such file or directory); create it, readable by this user only"),
        (EACCES, "(Permission denied); run this as its daemon's user, or let this user read it"),
    ],
)
def test_file_of_a_secret_that_cannot_be_read_is_reported_with_its_remedy(error: int, reason: str) -> None:
    found = unreadable_secret("dsn_file", Path("/run/dsn"), OSError(error, strerror(error)))
    assert str(found) == f"dsn_file: cannot read /run/dsn {reason}"
