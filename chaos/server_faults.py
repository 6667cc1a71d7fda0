"""The faults of connections and servers. Each lasts for `seconds`, and then ends."""

import asyncio
import resource
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress

from chaos.scene import Scene
from demo.servers.postgres import PostgresServer
from demo.servers.proc import ProcessIdentity, descendants, send
from demo.servers.server import Server
from soak.proxy import Proxy
from soak.shared_faults import black_hole, cut_connections, lost_answers, server_restart, slow_network

Fault = Callable[[Scene, float], Awaitable[None]]
NetworkFault = Callable[[Proxy], AbstractAsyncContextManager[None]]
_DISK_BYTES = 8_192


def _network(kind: NetworkFault, choose: Callable[[Scene], Sequence[Proxy]]) -> Fault:
    """Return a fault of the connections through some proxies."""

    async def fault(scene: Scene, seconds: float) -> None:
        async with AsyncExitStack() as stack:
            for proxy in choose(scene):
                await stack.enter_async_context(kind(proxy))
            await asyncio.sleep(seconds)

    return fault


def _leader_cut_off(kind: NetworkFault) -> Fault:
    """Return a fault of the connections between the leader and the ledger."""

    async def fault(scene: Scene, seconds: float) -> None:
        leader = scene.leader
        scene.note_loss(leader, f"{kind.__name__} between replica {leader.number} and the ledger")
        async with kind(leader.ledger):
            await asyncio.sleep(seconds)

    return fault


def _all_cut_off(kind: NetworkFault) -> Fault:
    """Return a fault of the connections between all replicas and the ledger."""
    network = _network(kind, lambda scene: scene.environment.ledger.proxies)

    async def fault(scene: Scene, seconds: float) -> None:
        async with scene.outage():
            await network(scene, seconds)

    return fault


def _ledger_out(kind: Callable[[PostgresServer], AbstractAsyncContextManager[None]]) -> Fault:
    """Return a fault of the ledger's server."""

    async def fault(scene: Scene, seconds: float) -> None:
        async with scene.outage(), kind(scene.environment.ledger.primary):
            await asyncio.sleep(seconds)

    return fault


@asynccontextmanager
async def _crash(server: Server) -> AsyncIterator[None]:
    """Kill the server, then start it again."""
    await asyncio.to_thread(server.process.stop, signal.SIGKILL)
    try:
        yield
    finally:
        await asyncio.to_thread(server.start)


@asynccontextmanager
async def _frozen(server: Server) -> AsyncIterator[None]:
    """Freeze the server with all its sessions."""
    processes = _processes(server)
    for process in processes:
        send(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            send(process, signal.SIGCONT)


@asynccontextmanager
async def _full_disk(server: Server) -> AsyncIterator[None]:
    """Let no file of the server grow: it refuses to write, or ends and cannot start."""
    _limit(server, _DISK_BYTES)
    try:
        yield
    finally:
        _limit(server, resource.RLIM_INFINITY)
        await asyncio.to_thread(_start_if_ended, server)


def _limit(server: Server, size: int) -> None:
    for process in _processes(server):
        with suppress(ProcessLookupError):
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def _processes(server: Server) -> Sequence[ProcessIdentity]:
    identity = server.process.identity
    return [] if identity is None else [identity, *descendants(identity)]


def _start_if_ended(server: Server) -> None:
    if server.process.running:
        server.wait()
    else:
        server.start()


async def _fail_over(scene: Scene, seconds: float) -> None:
    """Fail over to a standby that lacks the commits of the last `seconds`."""
    failover = await scene.environment.ledger.fail_over(seconds, scene.outage)
    scene.observer.forget_after(max((run.id for run in failover.promoted.runs), default=0))
    scene.log(f"the standby lacks {failover.lost_rows} rows of the audit trail")


async def _restart_postgres(scene: Scene, seconds: float) -> None:
    async with server_restart(scene.environment.postgres):
        await asyncio.sleep(seconds)


async def _kill_alertmanager(scene: Scene, seconds: float) -> None:
    async with _crash(scene.environment.alertmanagers[-1]):
        await asyncio.sleep(seconds)


def _postgres(scene: Scene) -> Sequence[Proxy]:
    return [scene.environment.postgres_proxy]


def _redis(scene: Scene) -> Sequence[Proxy]:
    return [scene.environment.redis_proxy]


def _gate(scene: Scene) -> Sequence[Proxy]:
    return [scene.environment.gate_proxy]


SERVER_FAULTS: Mapping[str, Fault] = {
    "cut: leader and ledger": _leader_cut_off(cut_connections),
    "hang: leader and ledger": _leader_cut_off(black_hole),
    "lost answers: leader and ledger": _leader_cut_off(lost_answers),
    "cut: all replicas and ledger": _all_cut_off(cut_connections),
    "slow: all replicas and ledger": _all_cut_off(slow_network),
    "cut: replicas and PostgreSQL": _network(cut_connections, _postgres),
    "hang: replicas and PostgreSQL": _network(black_hole, _postgres),
    "lost answers: replicas and PostgreSQL": _network(lost_answers, _postgres),
    "cut: replicas and Redis": _network(cut_connections, _redis),
    "hang: replicas and Redis": _network(black_hole, _redis),
    "lost answers: replicas and Redis": _network(lost_answers, _redis),
    "cut: replicas and the gate": _network(cut_connections, _gate),
    "lost answers: replicas and the gate": _network(lost_answers, _gate),
    "cut: senders and the leader": _network(cut_connections, lambda scene: [scene.leader.webhook]),
    "hang: senders and a follower": _network(black_hole, lambda scene: [scene.follower.webhook]),
    "restart of the ledger": _ledger_out(server_restart),
    "crash of the ledger": _ledger_out(_crash),
    "frozen ledger": _ledger_out(_frozen),
    "full disk of the ledger": _ledger_out(_full_disk),
    "failover of the ledger": _fail_over,
    "restart of PostgreSQL": _restart_postgres,
    "kill an Alertmanager": _kill_alertmanager,
}
