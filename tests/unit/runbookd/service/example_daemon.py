"""A minimal daemon, which the tests start as a process."""

import sys
from collections.abc import Iterable

from aiohttp import web

from runbookd.inventory import Inventory
from runbookd.service import ConfigFinding, Daemon, UnusableConfiguration, add_health_routes, run
from runbookd.service.settings import DaemonSettings, WebSettings, read_settings


class ExampleSettings(DaemonSettings):
    """An example daemon."""

    web: WebSettings = WebSettings(listen_address="127.0.0.1:0")


def build(_: ExampleSettings, inventory: Inventory | None) -> web.Application:
    if inventory is not None and "unusable" in inventory.stacks:
        raise UnusableConfiguration("stacks.unusable: rename it")
    app = web.Application()
    add_health_routes(app, lambda: "no inventory" if inventory is None else None)
    return app


def find_problems(inventory: Inventory) -> Iterable[ConfigFinding]:
    for name, stack in inventory.stacks.items():
        if not stack.redis:
            yield ConfigFinding(("stacks", name, "redis"), "there is none")


if __name__ == "__main__":
    sys.exit(run(Daemon(build, find_problems), read_settings(ExampleSettings, sys.argv[1:], "example")))
