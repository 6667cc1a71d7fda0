"""Faults of any server and any connection, which chaos shares: each lasts as long as its context."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from demo.servers.server import Server
from soak.proxy import Proxy


@asynccontextmanager
async def held_server(server: Server) -> AsyncIterator[None]:
    """Freeze the server: the kernel accepts connections, but the server never answers."""
    identity = server.process.identity
    if identity is None:
        raise RuntimeError(f"{server.name} does not run")
    os.kill(identity.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(identity.pid, signal.SIGCONT)


@asynccontextmanager
async def black_hole(proxy: Proxy) -> AsyncIterator[None]:
    """Swallow all bytes in both directions."""
    proxy.black_hole = True
    try:
        yield
    finally:
        proxy.black_hole = False
        await proxy.cut()


@asynccontextmanager
async def lost_answers(proxy: Proxy) -> AsyncIterator[None]:
    """Swallow the bytes of the server: requests arrive, and nobody learns what became of them."""
    proxy.loses_answers = True
    try:
        yield
    finally:
        proxy.loses_answers = False
        await proxy.cut()


@asynccontextmanager
async def slow_network(proxy: Proxy) -> AsyncIterator[None]:
    """Delay every chunk by half a second."""
    proxy.delay = 0.5
    try:
        yield
    finally:
        proxy.delay = 0.0


@asynccontextmanager
async def cut_connections(proxy: Proxy) -> AsyncIterator[None]:
    """Break every connection, also new ones."""
    cutting = asyncio.create_task(_cut_forever(proxy))
    try:
        yield
    finally:
        cutting.cancel()


@asynccontextmanager
async def server_restart(server: Server) -> AsyncIterator[None]:
    """Stop the server, then start it again."""
    await asyncio.to_thread(server.stop)
    try:
        yield
    finally:
        await asyncio.to_thread(server.start)


async def _cut_forever(proxy: Proxy) -> None:
    while True:
        await proxy.cut()
        await asyncio.sleep(0.05)
