"""A path that this user cannot look at is not seen, and raises nothing."""

from pathlib import Path

import pytest

from runbookd.visible import is_visible_file, is_visible_folder

UNUSABLE = "x" * 300
"""Longer than a name may be. Path's methods raise for it as in a folder that the user may not pass, which root can."""


def test_file_and_folder_are_seen_for_what_they_are(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert (is_visible_file(file), is_visible_folder(file)) == (True, False)
    assert (is_visible_file(tmp_path), is_visible_folder(tmp_path)) == (False, True)


@pytest.mark.parametrize("name", ["missing", UNUSABLE, f"{UNUSABLE}/file"])
def test_path_that_cannot_be_looked_at_is_not_seen(name: str, tmp_path: Path) -> None:
    assert not is_visible_file(tmp_path / name)
    assert not is_visible_folder(tmp_path / name)
