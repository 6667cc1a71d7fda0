"""A run under way: what faults act on, and what they note for the auditor."""

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from chaos.audit.evidence import LostLeader
from chaos.environment import Environment
from chaos.observer import Observer
from chaos.replica import Replica


@dataclass
class Scene:
    """The environment, the leader of the moment, and the notes of the faults."""

    environment: Environment
    observer: Observer
    log: Callable[[str], None]
    lost_leaders: list[LostLeader] = field(default_factory=list)
    outages: list[tuple[float, float]] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)

    @property
    def leader(self) -> Replica:
        """The replica that leads; the first one while none does."""
        replicas = self.environment.replicas
        pid = self.observer.leader_pid
        return next((each for each in replicas if each.identity is not None and each.identity.pid == pid), replicas[0])

    @property
    def follower(self) -> Replica:
        """The replica after the leader."""
        replicas = self.environment.replicas
        return replicas[(self.leader.number + 1) % len(replicas)]

    def note_loss(self, replica: Replica, fault: str) -> None:
        """Note a fault that ends or cuts off a replica, if it leads: another one has to take over."""
        identity = replica.identity
        if identity is not None and identity.pid == self.observer.leader_pid:
            self.lost_leaders.append(LostLeader(time.time(), fault, self.observer.samples[-1].term))

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        """Note the time in which no replica can reach the ledger."""
        begun = time.time()
        try:
            yield
        finally:
            self.outages.append((begun, time.time()))
