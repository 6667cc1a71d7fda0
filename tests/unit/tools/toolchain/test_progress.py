"""What the set-up shows while pip, apt and npm work, from their own logs."""

import pytest

from tools.toolchain.apt import last_list
from tools.toolchain.bootstrap import _doing
from tools.toolchain.node_modules import _last_package

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
        (COLLECT + DOWNLOAD + "Installing collected packages: aiohttp\n", "installed 7 of 1 packages"),
        ("Obtaining file:///home/me/runbookd\n", "package 1: runbookd"),
    ],
)
def test_package_of_pip_is_shown_with_its_number_and_size(log: str, shown: str) -> None:
    assert _doing(log, installed=7) == shown


def test_list_of_apt_is_shown_with_its_size() -> None:
    log = "Get:1 http://deb.example bookworm InRelease [151 kB]\n"
    log += "Get:2 http://deb.example bookworm/main amd64 Packages [8,788 kB]\n"
    assert (last_list(""), last_list(log)) == ("", "bookworm/main amd64 Packages [8,788 kB]")


def test_package_of_npm_is_shown_with_its_number() -> None:
    log = "npm http fetch GET 200 https://npm.example/{0}/-/{0}-1.0.0.tgz 1331ms (cache miss)\n"
    assert (_last_package(""), _last_package(log.format("tslib") + log.format("bullmq"))) == (
        "",
        "package 2: bullmq-1.0.0",
    )
