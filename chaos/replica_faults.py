"""The faults of one replica: its process, its clock and its disk. Each lasts for `seconds`, and then ends."""

import asyncio
import resource
import signal
from collections.abc import Awaitable, Callable, Mapping

from chaos.replica import Replica
from chaos.scene import Scene

Fault = Callable[[Scene, float], Awaitable[None]]
Choice = Callable[[Scene], Replica]
CLOCK = "clock of"
_STEP_SECONDS = 3600


def _leader(scene: Scene) -> Replica:
    return scene.leader


def _follower(scene: Scene) -> Replica:
    return scene.follower


def _ended(choose: Choice, how: signal.Signals) -> Fault:
    """Return a fault that ends a process, and starts it again."""

    async def fault(scene: Scene, seconds: float) -> None:
        replica = choose(scene)
        scene.note_loss(replica, f"{how.name} of replica {replica.number}")
        try:
            await asyncio.to_thread(replica.end, how)
            await asyncio.sleep(seconds)
        finally:
            await asyncio.to_thread(replica.launch)

    return fault


def _frozen(choose: Choice) -> Fault:
    """Return a fault that stops a process where it stands: it believes afterwards that no time has passed."""

    async def fault(scene: Scene, seconds: float) -> None:
        replica = choose(scene)
        scene.note_loss(replica, f"SIGSTOP of replica {replica.number}")
        replica.send(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            replica.send(signal.SIGCONT)

    return fault


def _wrong_clock(choose: Choice, offset: int) -> Fault:
    """Return a fault that steps the wall clock of a process, and steps it back."""

    async def fault(scene: Scene, seconds: float) -> None:
        replica = choose(scene)
        replica.set_clock(offset)
        try:
            await asyncio.sleep(seconds)
        finally:
            replica.set_clock(0)

    return fault


def _full_disk(choose: Choice) -> Fault:
    """Return a fault that lets no file of a process grow, not even its log."""

    async def fault(scene: Scene, seconds: float) -> None:
        replica = choose(scene)
        replica.limit_files(1)
        try:
            await asyncio.sleep(seconds)
        finally:
            replica.limit_files(resource.RLIM_INFINITY)

    return fault


REPLICA_FAULTS: Mapping[str, Fault] = {
    "kill the leader": _ended(_leader, signal.SIGKILL),
    "kill a follower": _ended(_follower, signal.SIGKILL),
    "stop the leader": _ended(_leader, signal.SIGTERM),
    "stop a follower": _ended(_follower, signal.SIGTERM),
    "freeze the leader": _frozen(_leader),
    "freeze a follower": _frozen(_follower),
    f"{CLOCK} the leader one hour ahead": _wrong_clock(_leader, _STEP_SECONDS),
    f"{CLOCK} the leader one hour behind": _wrong_clock(_leader, -_STEP_SECONDS),
    f"{CLOCK} a follower one hour ahead": _wrong_clock(_follower, _STEP_SECONDS),
    "full disk of the leader": _full_disk(_leader),
    "full disk of a follower": _full_disk(_follower),
}
