"""Empties a cache: removes all keys that begin with one literal prefix of the inventory.

Source: the PMCRM runbook, "Common Incidents > OAuth Failures", second option. Its traps: KEYS stops the server while it
walks all keys, xargs runs DEL without a key, and keys with blanks are split. FLUSHALL of the Life Platform runbook,
"Useful Commands", removes queues and sessions too.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from redis.asyncio import Redis

from remediator.clients.redis import connect
from remediator.model.act_words import ActWords
from remediator.model.errors import RunRefused, TargetUnreachable
from remediator.model.permanent_fix import Cause, Fix, values_of
from remediator.model.quoting import script_text
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
from remediator.remediations.redis_keys import chosen_entry, entry_parameter, needs_keys, translate_key_errors
from runbookd.inventory import KeyPrefix, Stack

MAX_KEYS = 50_000
STEP_KEYS = 500  # keys that one SCAN visits, so that it takes Redis well under a millisecond
BATCH_KEYS = 100
SCAN_SECONDS = 8.0
EFFECT_SECONDS = 60.0
PARAMETER = "cache"
UNDO = Undo("none", "Removed keys cannot be restored; the application fills its cache again.")


@dataclass(frozen=True)
class _UnlinkSession:
    """A session of this remediation on one cache."""

    scope: Scope
    redis: Redis
    name: str
    cache: KeyPrefix

    @property
    def effect_timeout(self) -> timedelta:
        return timedelta(seconds=EFFECT_SECONDS)

    async def plan(self) -> Plan:
        keys = await self._keys()
        with translate_key_errors(self.scope):
            population = int(await self.redis.dbsize())
        identity = {"cache": self.name, "prefix": self.cache.prefix}
        evidence = {"keys": len(keys), "more": len(keys) > self._limit}
        items = (Item(identity, evidence),) if keys else ()
        return Plan(items, len(keys), population, evidence, finds_faults=False)

    async def apply(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        return [await self._empty(item) for item in items]

    async def resolve_outcome(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        """See RemediationSession. Keys that are there may be new ones, so only an empty cache tells."""
        left = len(await self._keys())
        if left == 0:
            return [EffectOutcome(ItemState.APPLIED, "no key of the cache is left") for _ in items]
        return [EffectOutcome(ItemState.UNKNOWN, f"{left} keys are there, old or new") for _ in items]

    async def verify(self, _items: Sequence[Item]) -> Verdict:
        """See RemediationSession.

        Redis has counted the removed keys; keys found now are new ones, which the application has written since.
        """
        return Verdict(True, {"written_since": len(await self._keys())})

    @property
    def _limit(self) -> int:
        return self.scope.settings.max_items or MAX_KEYS

    async def _empty(self, item: Item) -> EffectOutcome:
        if item.identity != {"cache": self.name, "prefix": self.cache.prefix}:
            return EffectOutcome(ItemState.SKIPPED, "the cache has another prefix than when it was planned")
        keys = await self._keys()
        if len(keys) > self._limit:
            return EffectOutcome(ItemState.FAILED, f"has more than {self._limit} keys by now; nothing was removed")
        removed = 0
        with translate_key_errors(self.scope):
            for start in range(0, len(keys), BATCH_KEYS):
                removed += int(await self.redis.unlink(*keys[start : start + BATCH_KEYS]))
        return EffectOutcome(ItemState.APPLIED, f"removed {removed} keys of {len(keys)}; the others had expired")

    async def _keys(self) -> list[bytes]:
        """Return the keys of the cache, at most one more than the limit.

        Raises:
            TargetUnreachable: the server has too many keys to visit in time.
            RunRefused: a queue has such keys.
        """
        prefix, found, cursor = self.cache.prefix.encode(), dict[bytes, None](), 0
        try:
            with translate_key_errors(self.scope):
                async with asyncio.timeout(SCAN_SECONDS):
                    while True:
                        cursor, keys = await self.redis.scan(cursor, _literal(prefix) + b"*", STEP_KEYS)
                        found.update(
                            dict.fromkeys(each for each in keys if isinstance(each, bytes) and each.startswith(prefix))
                        )
                        if cursor == 0 or len(found) > self._limit:
                            break
        except TargetUnreachable as error:
            if isinstance(error.__context__, TimeoutError):
                raise TargetUnreachable(
                    f"{self.scope.target}: visiting its keys takes over {SCAN_SECONDS:g} s"
                ) from None
            raise
        self._refuse_queues(found)
        return list(found)[: self._limit + 1]

    def _refuse_queues(self, keys: dict[bytes, None]) -> None:
        """Refuse a prefix that a queue has, which the inventory does not know of."""
        for key in keys:
            if key.endswith(b":meta") and key.removesuffix(b":meta") + b":events" in keys:
                raise RunRefused(
                    "queue_keys", f"a queue has keys with the prefix {self.cache.prefix!r}; remove the cache"
                )


def _literal(prefix: bytes) -> bytes:
    """Return a pattern of SCAN that matches exactly this text."""
    return b"".join(b"\\" + bytes([byte]) if byte in b"*?[]\\^-" else bytes([byte]) for byte in prefix)


def _declare(stack: Stack, target: TargetName) -> Declaration:
    return Declaration({PARAMETER: entry_parameter(stack.redis[target.name].caches, "caches")}, UNDO)


@asynccontextmanager
async def _open(scope: Scope) -> AsyncIterator[_UnlinkSession]:
    name, cache = chosen_entry(scope, scope.stack.redis[scope.target.name].caches, PARAMETER, "caches")
    async with connect(scope, decode=False) as redis:
        yield _UnlinkSession(scope, redis, name, cache)


def _write_fix(scope: Scope, causes: Sequence[Cause]) -> Fix:
    """Let the keys of the cache expire by themselves."""
    caches = scope.stack.redis[scope.target.name].caches
    prefixes = [caches[name].prefix for name in values_of(causes, "cache") if name in caches]
    return Fix(
        "The cache goes stale. Write its keys with an expiry, as below, and with the version of what they"
        " depend on in their name; and remove the key where its source changes.",
        "\n".join(f"SET {script_text(prefix + 'KEY')} VALUE EX 3600" for prefix in prefixes),
        "redis",
    )


REMEDIATION = Remediation(
    name="unlink_prefix",
    kind="redis",
    keys=frozenset(),
    max_items=MAX_KEYS,
    one_effect=True,
    open=_open,
    undo=UNDO,
    permanent_fix=PermanentFix(_write_fix, names=("cache",), by_hand=True),
    declare=_declare,
    never_auto=True,
    words=ActWords("Delete", "deleted", "key", "keys"),
    needs=needs_keys("caches"),
)
