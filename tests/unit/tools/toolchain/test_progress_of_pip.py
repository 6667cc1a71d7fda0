"""What the set-up shows while pip works, from pip's own log."""

import pytest

from tools.toolchain.bootstrap import _doing

COLLECT = "Collecting aiohttp==3.14.5 (from -r requirements-demo.lock (line 4))\n"
DOWNLOAD = "  Downloading aiohttp-3.14.5-cp311-cp311-manylinux2014_x86_64.whl (1.9 MB)\n"
LOCAL = "Processing /wheels/async_timeout-5.0.1-py3-none-any.whl (from -r requirements-demo.lock (line 9))\n"


@pytest.mark.parametrize(
    ("log", "shown"),
    [
        ("", ""),
        ("Looking in links: /wheels\n", ""),
        (COLLECT, "package 1: aiohttp"),
        (COLLECT + DOWNLOAD, "package 1: aiohttp (1.9 MB)"),
        (COLLECT + DOWNLOAD + LOCAL, "package 2: async_timeout"),
        (COLLECT + DOWNLOAD + "Installing collected packages: aiohttp\n", "installing"),
    ],
)
def test_package_is_shown_with_its_number_and_size(log: str, shown: str) -> None:
    assert _doing(log) == shown
