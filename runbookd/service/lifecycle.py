"""Runs a daemon: settings, inventory, check or serve, exit code."""

import asyncio
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from aiohttp import web

from runbookd.inventory import Inventory, InventoryError, load_inventory
from runbookd.service.address import ListenAddress
from runbookd.service.check import ConfigFinding, check
from runbookd.service.logs import configure_logs
from runbookd.service.serve import CannotListen, serve
from runbookd.service.tls_and_users import WebGuard

if TYPE_CHECKING:
    from runbookd.service.settings import DaemonSettings

S = TypeVar("S", bound="DaemonSettings")


class UnusableConfiguration(Exception):
    """The daemon cannot start with this configuration. One line: place, cause, remedy."""


@dataclass(frozen=True)
class Daemon(Generic[S]):
    """The parts that differ between daemons: application and findings of `--config.check`.

    `build` may raise UnusableConfiguration. It runs before the event loop, so it must not open anything: open
    connections in the application's `cleanup_ctx`.
    """

    build: Callable[[S, Inventory | None], web.Application]
    config_findings: Callable[[Inventory], Iterable[ConfigFinding]]


def run(daemon: Daemon[S], settings: S) -> int:
    """Run until a signal stops the daemon, and return its exit code.

    0: stopped, or nothing found. 1: findings, or the address is in use. 2: unusable configuration.
    """
    configure_logs(settings.log.level, settings.log.format)
    if settings.config.check:
        return check_configuration(settings, daemon.config_findings)
    try:
        inventory = load_inventory(settings.config.file, os.environ)
    except InventoryError as error:
        return _print_error(error, 2)
    return serve_until_stopped(
        lambda: daemon.build(settings, inventory), settings.web.address, settings.web.config.file
    )


def check_configuration(
    settings: "DaemonSettings", config_findings: Callable[[Inventory], Iterable[ConfigFinding]]
) -> int:
    """Print the findings of `--config.check`, and return the exit code: 0, or 1 with findings, or 2 if unusable."""
    try:
        inventory = load_inventory(settings.config.file, os.environ)
        _guard(settings.web.config.file)
    except (InventoryError, UnusableConfiguration) as error:
        return _print_error(error, 2)
    return check(inventory, settings.config.file, config_findings)


def serve_until_stopped(build: Callable[[], web.Application], address: ListenAddress, web_config: Path | None) -> int:
    """Serve what `build` returns until a signal stops the process, and return the exit code as `run` does."""
    try:
        guard = _guard(web_config)
        asyncio.run(serve(build(), address, guard))
    except (InventoryError, UnusableConfiguration) as error:
        return _print_error(error, 2)
    except CannotListen as error:
        return _print_error(error, 1)
    return 0


def _guard(file: Path | None) -> WebGuard | None:
    try:
        return WebGuard(file) if file is not None else None
    except OSError as error:
        raise UnusableConfiguration(f"{file}: tls_server_config: {error}; fix the certificate and its key") from None


def _print_error(error: Exception, code: int) -> int:
    print(error, file=sys.stderr)
    return code
