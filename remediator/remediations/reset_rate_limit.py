"""Removes the counter of one subject, so that its rate limit begins again.

Source: the PMCRM runbook, "Common Incidents > API Rate Limits Exceeded", first option. Its trap: the reset of an
abuser's counter rewards the abuse, so an operator names the subject, and an alert never starts it.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from redis.asyncio import Redis

from remediator.clients.redis import connect
from remediator.model.act_words import ActWords
from remediator.model.parameters import NameParameter
from remediator.model.permanent_fix import Cause, Fix
from remediator.model.remediation import (
    Declaration,
    EffectOutcome,
    Item,
    ItemState,
    PermanentFix,
    Plan,
    Remediation,
    Scope,
    TargetName,
    Undo,
    Verdict,
)
from remediator.remediations.redis_keys import (
    act_on_key,
    chosen_entry,
    entry_parameter,
    needs_keys,
    operators_value,
    translate_key_errors,
)
from runbookd.inventory import Stack

EFFECT_SECONDS = 10.0
PARAMETER = "limit"
UNDO = Undo("none", "The counter begins at zero; the limit itself stays.")
_OUTCOMES = {
    "done": EffectOutcome(ItemState.APPLIED, "the counter was removed"),
    "gone": EffectOutcome(ItemState.SKIPPED, "the counter had expired"),
    "changed": EffectOutcome(ItemState.SKIPPED, "the key has another type than when it was planned"),
}
# The types of keys that count: a number, a sliding window, tokens by field.
_COUNTED_BY = {"zset": "zcard", "hash": "hlen", "list": "llen", "set": "scard"}


@dataclass(frozen=True)
class _ResetSession:
    """A session of this remediation on one key."""

    scope: Scope
    redis: Redis
    limit: str
    key: str

    @property
    def effect_timeout(self) -> timedelta:
        return timedelta(seconds=EFFECT_SECONDS)

    async def plan(self) -> Plan:
        counter = await self._counter()
        if counter["type"] is None:
            return Plan((), 0, evidence=counter)
        return Plan(
            (Item({"key": self.key, "type": counter["type"]}, {"limit": self.limit, **counter}),),
            1,
            evidence=counter,
            finds_faults=False,
        )

    async def apply(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        with translate_key_errors(self.scope):
            words = [await act_on_key(self.redis, "remove", self.key, str(item.identity["type"])) for item in items]
        return [_OUTCOMES[word] for word in words]

    async def resolve_outcome(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        """See RemediationSession. A counter that is there may be the old one, or a new one since."""
        counter = await self._counter()
        if counter["type"] is None:
            return [EffectOutcome(ItemState.APPLIED, "the counter is gone") for _ in items]
        return [_compare(item, counter) for item in items]

    async def verify(self, items: Sequence[Item]) -> Verdict:
        """See RemediationSession. Clean if the counter is gone, or has begun again below its former count."""
        counter = await self._counter()
        states = [counter["type"] is None or _is_lower(item, counter) for item in items]
        return Verdict(all(states), counter)

    async def _counter(self) -> Mapping[str, Any]:
        """Return the type, the count and the rest of the time of the key."""
        with translate_key_errors(self.scope):
            found = str(await self.redis.type(self.key))
            if found == "none":
                return {"key": self.key, "type": None}
            count = await self._count(found)
            expires_in = await self.redis.ttl(self.key)
        return {"key": self.key, "type": found, "count": count, "expires_in": expires_in if expires_in >= 0 else None}

    async def _count(self, found: str) -> int | None:
        if found == "string":
            value = str(await self.redis.get(self.key))
            return int(value) if value.isascii() and value.isdigit() and len(value) < 20 else None
        command = _COUNTED_BY.get(found)
        return int(await getattr(self.redis, command)(self.key)) if command is not None else None


def _is_lower(item: Item, counter: Mapping[str, Any]) -> bool:
    before, now = item.evidence.get("count"), counter.get("count")
    return isinstance(before, int) and isinstance(now, int) and now < before


def _compare(item: Item, counter: Mapping[str, Any]) -> EffectOutcome:
    """Judge a counter that exists after a crash by its count: a reset is the only way down within its time."""
    if _is_lower(item, counter):
        return EffectOutcome(ItemState.APPLIED, "the counter has begun again")
    if counter.get("count") is None:
        return EffectOutcome(ItemState.UNKNOWN, "the key exists, and its content does not tell since when")
    return EffectOutcome(ItemState.NOT_APPLIED, "the counter is not lower than planned")


def _declare(stack: Stack, target: TargetName) -> Declaration:
    limits = entry_parameter(stack.redis[target.name].rate_limits, "rate_limits")
    subject = NameParameter("the user, key or address whose counter is removed", required=True)
    return Declaration({"subject": subject, PARAMETER: limits}, UNDO)


@asynccontextmanager
async def _open(scope: Scope) -> AsyncIterator[_ResetSession]:
    name, limit = chosen_entry(scope, scope.stack.redis[scope.target.name].rate_limits, PARAMETER, "rate_limits")
    key = limit.key.replace("{subject}", operators_value(scope, "subject"))
    async with connect(scope) as redis:
        yield _ResetSession(scope, redis, name, key)


def _write_fix(_scope: Scope, _causes: Sequence[Cause]) -> Fix:
    return Fix(
        "The limit refuses subjects that operators then let through. If they are customers, raise the limit in the"
        " application, or give such subjects one of their own; if one of them floods it, that is no case for a reset."
    )


REMEDIATION = Remediation(
    name="reset_rate_limit",
    kind="redis",
    keys=frozenset(),
    max_items=1,
    one_effect=True,
    open=_open,
    undo=UNDO,
    permanent_fix=PermanentFix(_write_fix, names=("limit",), by_hand=True),
    declare=_declare,
    never_auto=True,
    words=ActWords("Reset", "reset", "rate limit", "rate limits"),
    needs=needs_keys("rate_limits"),
)
