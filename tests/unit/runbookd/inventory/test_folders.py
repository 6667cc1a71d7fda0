"""Folders of the inventory: paths that no remediation may prune are refused."""

from typing import Any

import pytest
from pydantic import ValidationError

from runbookd.inventory import FolderTarget

GOOD: dict[str, Any] = {"path": "/var/log/shop", "pattern": "*.log*", "older_than": "14d"}


def test_defaults_are_the_careful_ones() -> None:
    folder = FolderTarget.model_validate(GOOD)
    assert (folder.keep, folder.max_bytes, folder.open_files) == (3, 5 * 2**30, "leave")
    assert "*audit*" in folder.exclude


@pytest.mark.parametrize("path", ["/var/log/shop", "/home/pmcrm/.pm2/logs", "/srv/shop", "/opt/formula_pm/logs"])
def test_folder_of_a_product_is_accepted(path: str) -> None:
    assert str(FolderTarget.model_validate({**GOOD, "path": path}).path) == path


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ({"path": "/"}, "holds the files of several programs"),
        ({"path": "/home"}, "holds the files of several programs"),
        ({"path": "/var/log"}, "holds the files of several programs"),
        ({"path": "/etc/shop"}, "is below /etc, which belongs to the system"),
        ({"path": "/usr/share/shop"}, "is below /usr"),
        ({"path": "/proc/1/fd"}, "is below /proc"),
        ({"path": "logs"}, "is not an absolute path"),
        ({"path": "/var/log/shop/../../../etc"}, "is not an absolute path without '..'"),
        ({"pattern": "shop/*.log"}, "should match pattern"),
        ({"pattern": ""}, "at least 1 character"),
        ({"pattern": "a\x00b"}, "should match pattern"),
        ({"older_than": "59m"}, "must be at least 1h"),
        ({"keep": 0}, "greater than or equal to 1"),
        ({"max_bytes": "5GB"}, "is not a size"),
        ({"open_files": "delete"}, "Input should be 'leave', 'truncate' or 'unchecked'"),
    ],
)
def test_unusable_folder_is_refused_with_its_reason(setting: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        FolderTarget.model_validate({**GOOD, **setting})
    assert text in str(caught.value)
