"""A daemon's life: settings, inventory, check or serve, exit code."""

import asyncio
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from aiohttp import web

from runbookd.inventory import Inventory, InventoryError, load_inventory
from runbookd.service.check import ConfigFinding, check
from runbookd.service.logs import configure_logs
from runbookd.service.serve import CannotListen, serve
from runbookd.service.settings import DaemonSettings
from runbookd.service.tls_and_users import WebGuard

S = TypeVar("S", bound=DaemonSettings)


class UnusableConfiguration(Exception):
    """The daemon can not start as it is configured. One line that names the place and the remedy; exit code 2."""


@dataclass(frozen=True)
class Daemon(Generic[S]):
    """What makes a daemon itself: its application, and what `--config.check` looks for.

    `build` may raise UnusableConfiguration. It runs before the event loop, so it opens nothing: that belongs into
    the application's `cleanup_ctx`.
    """

    build: Callable[[S, Inventory | None], web.Application]
    config_findings: Callable[[Inventory], Iterable[ConfigFinding]]


def run(daemon: Daemon[S], settings: S) -> int:
    """Run until told to stop. Returns 0; 1 where a check finds something or the address is taken; 2 unusable."""
    configure_logs(settings.log)
    try:
        inventory = load_inventory(settings.config.file, os.environ)
        guard = _guard(settings.web.config.file)
        if settings.config.check:
            return check(inventory, settings.config.file, daemon.config_findings)
        asyncio.run(serve(daemon.build(settings, inventory), settings.web.address, guard))
    except (InventoryError, UnusableConfiguration) as error:
        return _print_error(error, 2)
    except CannotListen as error:
        return _print_error(error, 1)
    return 0


def _guard(file: Path | None) -> WebGuard | None:
    try:
        return WebGuard(file) if file is not None else None
    except OSError as error:
        raise UnusableConfiguration(f"{file}: tls_server_config: {error}; mend the certificate and its key") from None


def _print_error(error: Exception, code: int) -> int:
    print(error, file=sys.stderr)
    return code
