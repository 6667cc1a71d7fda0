"""Serves an application until a signal stops the process."""

import asyncio
import errno
import signal
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager

import structlog
from aiohttp import web

from runbookd.service.address import ListenAddress
from runbookd.service.connections import HANDSHAKE_SECONDS, Connections
from runbookd.service.missing import MISSING_PARTS, log_missing
from runbookd.service.reload import RELOAD, reload_on_sighup
from runbookd.service.tls_and_users import WebGuard

# Time for open requests to finish after SIGTERM; below the 10 s that container runtimes allow before SIGKILL.
GRACE_SECONDS = 8.0
BEFORE_CLOSING: web.AppKey[Callable[[], Awaitable[None]]] = web.AppKey("before_closing")
"""A hook that the application awaits before it closes; it still serves requests during the hook."""
log = structlog.get_logger(__name__)


class CannotListen(Exception):
    """The daemon cannot listen on its address."""


async def serve(app: web.Application, address: ListenAddress, guard: WebGuard | None = None) -> None:
    """Serve `app` behind `guard` until a signal stops it, then let open requests finish.

    Raises:
        CannotListen: the address is in use, not on this machine, or not permitted.
    """
    # Without a reload, SIGHUP is a graceful stop like SIGTERM: its default action would kill work in progress.
    stop = _stop_on_signals(signal.SIGTERM, signal.SIGINT, *(() if RELOAD in app else (signal.SIGHUP,)))
    reload_on_sighup(app)
    tls = guard.install(app) if guard is not None else None
    await _require_free(address)
    connections = Connections(app)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=GRACE_SECONDS)
    await runner.setup()
    assert runner.server is not None  # noqa: S101 - set up
    try:
        with closing(await _listen(connections.limited(runner.server), address, tls)) as listener:
            log.info("listening", address=" ".join(_format_address(each.getsockname()) for each in listener.sockets))
            log_missing(app.get(MISSING_PARTS, ()))
            await stop.wait()
            log.info("stopping")
            if BEFORE_CLOSING in app:
                await app[BEFORE_CLOSING]()
    finally:
        await runner.cleanup()


async def _require_free(address: ListenAddress) -> None:
    """Refuse an address in use before the application opens anything: a mistyped port must leave no files behind."""
    loop = asyncio.get_running_loop()
    with _explained(address):
        (await loop.create_server(asyncio.Protocol, address.host, address.port, start_serving=False)).close()


async def _listen(
    accept: Callable[[], asyncio.BaseProtocol], address: ListenAddress, tls: ssl.SSLContext | None
) -> asyncio.Server:
    handshake = None if tls is None else HANDSHAKE_SECONDS
    with _explained(address):
        return await asyncio.get_running_loop().create_server(
            accept, address.host, address.port, ssl=tls, backlog=128, ssl_handshake_timeout=handshake
        )


@contextmanager
def _explained(address: ListenAddress) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        remedy = "choose another with --web.listen-address"
        reason = "it is in use" if error.errno == errno.EADDRINUSE else error.strerror or "unknown error"
        raise CannotListen(f"cannot listen on {address}: {reason}; {remedy}") from None


def _stop_on_signals(*numbers: signal.Signals) -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop_once(number: signal.Signals) -> None:
        stop.set()
        loop.remove_signal_handler(number)  # a second signal ends the process at once

    for number in numbers:
        loop.add_signal_handler(number, stop_once, number)
    return stop


def _format_address(socket_address: tuple[str, int]) -> str:
    return str(ListenAddress(socket_address[0], socket_address[1]))
