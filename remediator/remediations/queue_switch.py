"""Pauses or resumes a BullMQ queue in one atomic script, as its version does: the two directions of one switch.

No runbook has a command for it. Its traps: the Python package pauses a queue of BullMQ 3 without an effect on its
workers, and BullMQ 3 to 5 lose the jobs of one list if both lists hold jobs while the queue is resumed.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from remediator.clients.redis import connect
from remediator.model.remediation import EffectOutcome, Item, ItemState, Plan, Scope, Verdict
from remediator.remediations.bullmq_queue import (
    NO_QUEUE,
    QUEUE_GONE,
    READ,
    WRITE,
    deadline,
    queue_key,
    read_parts,
    translate_script_errors,
)

PLAN_SECONDS = 8.0
EFFECT_SECONDS = 15.0
_PARTS = read_parts("queue_switch.lua")
STATE_SCRIPT = READ + _PARTS["ask"]
PAUSE_SCRIPT, RESUME_SCRIPT = (WRITE + _PARTS["move"] + _PARTS[word] for word in ("pause", "resume"))
_WORDS = {True: "paused", False: "running"}


@dataclass(frozen=True)
class _QueueState:
    """The switch of a queue, and the lengths of its lists."""

    version: str
    paused: bool
    waiting: int
    held: int  # in the list that BullMQ 3 to 5 have for the jobs of a paused queue
    prioritized: int
    active: int

    @property
    def evidence(self) -> Mapping[str, Any]:
        """The state as an operator sees it."""
        jobs = {"waiting": self.waiting + self.held + self.prioritized, "active": self.active}
        return {"version": self.version or None, "state": _WORDS[self.paused], **jobs}

    def is_settled(self, paused: bool) -> bool:
        """Return whether the switch and the lists agree: BullMQ 3 to 5 take from `wait` even in a paused queue."""
        if self.paused is not paused:
            return False
        if not paused:
            return self.held == 0
        return self.waiting == 0 or self.version.startswith("bullmq:6.")


@dataclass(frozen=True)
class SwitchSession:
    """A session that sets the switch of one queue to `paused`."""

    scope: Scope
    redis: Redis
    key: str
    paused: bool

    @property
    def effect_timeout(self) -> timedelta:
        """See RemediationSession."""
        return timedelta(seconds=EFFECT_SECONDS)

    async def plan(self) -> Plan:
        """See RemediationSession. Nothing is to be done in a queue that is already so."""
        state = await self._state()
        if state.paused is self.paused:
            return Plan((), 0, evidence=state.evidence, finds_faults=not self.paused)
        identity = {"queue": self.key, "state": _WORDS[state.paused]}
        return Plan((Item(identity, state.evidence),), 1, evidence=state.evidence, finds_faults=not self.paused)

    async def apply(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        """See RemediationSession."""
        return [await self._switch() for _ in items]

    async def resolve_outcome(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        """See RemediationSession."""
        state = await self._state()
        is_done = state.paused is self.paused
        outcome = EffectOutcome(
            ItemState.APPLIED if is_done else ItemState.NOT_APPLIED, f"the queue is {_WORDS[state.paused]}"
        )
        return [outcome for _ in items]

    async def verify(self, _items: Sequence[Item]) -> Verdict:
        """See RemediationSession. Clean if the switch is set, and the jobs are where workers respect it."""
        state = await self._state()
        return Verdict(state.is_settled(self.paused), state.evidence)

    async def _switch(self) -> EffectOutcome:
        script = PAUSE_SCRIPT if self.paused else RESUME_SCRIPT
        with translate_script_errors(self.scope):
            try:
                word = await self.redis.eval(script, 1, f"{self.key}:meta", await deadline(self.redis))
            except ResponseError as error:
                if str(error).startswith(NO_QUEUE):
                    return EffectOutcome(ItemState.SKIPPED, QUEUE_GONE)
                raise
        if word == "done":
            return EffectOutcome(ItemState.APPLIED, "paused" if self.paused else "resumed")
        return EffectOutcome(
            ItemState.SKIPPED, f"has been {'paused' if self.paused else 'resumed'} since it was planned"
        )

    async def _state(self) -> _QueueState:
        with translate_script_errors(self.scope):
            async with asyncio.timeout(PLAN_SECONDS):
                version, paused, *counts = await self.redis.eval(STATE_SCRIPT, 1, f"{self.key}:meta", 0)
        return _QueueState(version, bool(paused), *counts)


def open_switch(paused: bool) -> Callable[[Scope], AbstractAsyncContextManager[SwitchSession]]:
    """Return how to open a session that sets the switch to `paused`, or back if the run undoes one."""

    @asynccontextmanager
    async def open_session(scope: Scope) -> AsyncIterator[SwitchSession]:
        key = queue_key(scope)
        async with connect(scope) as redis:
            yield SwitchSession(scope, redis, key, paused if scope.undoes is None else not paused)

    return open_session
