"""Blocks one network address for a limited time, with the key that the application looks up.

Source: the PMCRM runbook, "Common Incidents > API Rate Limits Exceeded", third option. Its trap: behind a proxy the
address may be the proxy's, and the block hits everyone. So the inventory names your proxies, and an operator the
address.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from redis.asyncio import Redis

from remediator.clients.redis import connect
from remediator.model.act_words import ActWords
from remediator.model.errors import RunRefused
from remediator.model.parameters import AddressParameter, DurationParameter, Parameter
from remediator.model.permanent_fix import Cause, Fix
from remediator.model.remediation import (
    Declaration,
    EffectOutcome,
    Identity,
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
from runbookd.inventory import AddressBlock, Stack, format_duration

EFFECT_SECONDS = 10.0
MAX_VISITED = 200_000  # keys, while the blocks are counted
STEP_KEYS = 1_000
PARAMETER = "block"
UNDO = Undo("exact", "A run of its own removes the key; by itself it expires after its time.")
_OUTCOMES = {
    "done": EffectOutcome(ItemState.APPLIED, "blocked"),
    "exists": EffectOutcome(ItemState.SKIPPED, "has been blocked since it was planned"),
}
_UNDONE = {
    "done": EffectOutcome(ItemState.APPLIED, "no longer blocked"),
    "changed": EffectOutcome(ItemState.SKIPPED, "the block has ended, or is another one by now"),
}
Address = IPv4Address | IPv6Address


@dataclass(frozen=True)
class _BlockSession:
    """A session of this remediation on one address."""

    scope: Scope
    redis: Redis
    name: str
    block: AddressBlock
    address: Address

    @property
    def effect_timeout(self) -> timedelta:
        return timedelta(seconds=EFFECT_SECONDS)

    @property
    def key(self) -> str:
        return self.block.key.replace("{address}", str(self.address))

    @property
    def seconds(self) -> int:
        """The time of the block: the operator's, or the inventory's."""
        chosen = self.scope.parameters.get("for", self.block.for_time)
        span = chosen if isinstance(chosen, timedelta) else self.block.for_time
        return int(min(span, self.block.max_for).total_seconds())

    async def plan(self) -> Plan:
        state = await self._state()
        if self.scope.undoes is not None:
            items = tuple(item for item in self.scope.undoes if state["blocked"])
            return Plan(items, len(items), evidence=state)
        if reason := reason_against(self.address, self.block):
            raise RunRefused("protected_address", f"{self.address} {reason}")
        if state["blocked"]:
            return Plan((), 0, evidence=state)
        await self._require_room()
        identity: Identity = {"key": self.key, "value": self.block.value, "seconds": self.seconds}
        return Plan((Item(identity, {"block": self.name, **state}),), 1, evidence=state, finds_faults=False)

    async def apply(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        return [await self._apply(item) for item in items]

    async def resolve_outcome(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        state = await self._state()
        is_done = state["blocked"] is (self.scope.undoes is None)
        word = "is blocked" if state["blocked"] else "is not blocked"
        return [EffectOutcome(ItemState.APPLIED if is_done else ItemState.NOT_APPLIED, word) for _ in items]

    async def verify(self, items: Sequence[Item]) -> Verdict:
        """See RemediationSession. Clean if the key expires within the planned time, or after an undo does not exist."""
        state = await self._state()
        if self.scope.undoes is not None:
            return Verdict(not state["blocked"], state)
        left = state.get("expires_in")
        return Verdict(all(left is not None and left <= int(str(item.identity["seconds"])) for item in items), state)

    async def _apply(self, item: Item) -> EffectOutcome:
        planned = [str(item.identity[name]) for name in ("key", "value", "seconds")]
        if self.scope.undoes is not None:
            with translate_key_errors(self.scope):
                return _UNDONE[await act_on_key(self.redis, "unset", *planned)]
        if planned[0] != self.key or reason_against(self.address, self.block):
            return EffectOutcome(ItemState.SKIPPED, "the inventory no longer allows this block")
        with translate_key_errors(self.scope):
            return _OUTCOMES[await act_on_key(self.redis, "set", *planned)]

    async def _state(self) -> Mapping[str, Any]:
        with translate_key_errors(self.scope):
            left = int(await self.redis.ttl(self.key))
        return {"key": self.key, "blocked": left != -2, "expires_in": left if left >= 0 else None}

    async def _require_room(self) -> None:
        """Refuse a block beyond `max_blocks`.

        Raises:
            RunRefused: `max_blocks` addresses are blocked.
        """
        beginning, found, visited, cursor = self.block.beginning, set[str](), 0, 0
        with translate_key_errors(self.scope):
            while True:
                cursor, keys = await self.redis.scan(cursor, f"{_literal(beginning)}*", STEP_KEYS)
                found.update(key for key in map(str, keys) if key.startswith(beginning))
                visited += STEP_KEYS
                if cursor == 0 or len(found) >= self.block.max_blocks or visited >= MAX_VISITED:
                    break
        if len(found) >= self.block.max_blocks:
            raise RunRefused(
                "max_blocks", f"{len(found)} addresses are blocked already; {self.block.max_blocks} may be"
            )


def reason_against(address: Address, block: AddressBlock) -> str | None:
    """Return why an address must not be blocked, or None."""
    for each in _faces(address):
        if not each.is_global or each.is_multicast or each.is_reserved:
            return "is no public address"
        for name, networks in (("proxies", block.proxies), ("never", block.never)):
            if network := next((network for network in networks if each in network), None):
                return f"is in {network}, which the inventory lists in {name}"
    return None


def _faces(address: Address) -> Iterator[Address]:
    """Yield the address, and the ones of version 4 that one of version 6 stands for."""
    yield address
    if isinstance(address, IPv6Address):
        teredo = address.teredo or ()
        yield from (each for each in (address.sixtofour, *teredo) if each is not None)


def _plain(text: str) -> Address:
    """Return the address; one of version 4 that is written as one of version 6 is blocked as what it is."""
    address = ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _literal(text: str) -> str:
    return "".join(f"\\{character}" if character in "*?[]\\^-" else character for character in text)


def _declare(stack: Stack, target: TargetName) -> Declaration:
    blocks = stack.redis[target.name].blocks
    longest = max((block.max_for for block in blocks.values()), default=timedelta(hours=1))
    meaning = f"the time of the block, at most {format_duration(longest)}"
    parameters: dict[str, Parameter] = {
        "address": AddressParameter("the address to block", required=True),
        "for": DurationParameter(meaning, timedelta(seconds=1), longest),
        PARAMETER: entry_parameter(blocks, "blocks"),
    }
    return Declaration(parameters, UNDO)


@asynccontextmanager
async def _open(scope: Scope) -> AsyncIterator[_BlockSession]:
    name, block = chosen_entry(scope, scope.stack.redis[scope.target.name].blocks, PARAMETER, "blocks")
    address = _plain(operators_value(scope, "address"))
    async with connect(scope) as redis:
        yield _BlockSession(scope, redis, name, block, address)


def _write_fix(_scope: Scope, _causes: Sequence[Cause]) -> Fix:
    return Fix(
        "Addresses are blocked by hand again and again. Limit requests at the proxy instead (limit_req of nginx, a rule"
        " of the provider's firewall), by address and path, before they reach the application."
    )


REMEDIATION = Remediation(
    name="block_address",
    kind="redis",
    keys=frozenset(),
    max_items=1,
    one_effect=True,
    open=_open,
    undo=UNDO,
    permanent_fix=PermanentFix(_write_fix, names=("block",), by_hand=True),
    declare=_declare,
    never_auto=True,
    words=ActWords("Block the address on {}", "Blocked the address on {}"),
    needs=needs_keys("blocks"),
)
