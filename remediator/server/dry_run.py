"""What would be done now, without doing it: the engine's own code on a transaction that is always taken back.

So a preview can not differ from what the engine decides, and leaves nothing that could change a later decision: no
episode, no run, no reservation, no storm, no audit row. Plans are read with the remediator's rights, as the engine's.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.bounds.bounds import Decision, Facts, decide
from remediator.bounds.facts import blockers, gather
from remediator.context import World
from remediator.intake.ingest import take_in_all
from remediator.ledger import episodes, runs
from remediator.ledger.deliveries import Kept
from remediator.ledger.episodes import Episode
from remediator.ledger.protocol import Ledger
from remediator.ledger.runs import Run
from remediator.model.delivery import Alert, Delivery
from remediator.model.episode_key import Key
from remediator.model.errors import MalformedDelivery
from remediator.model.remediation import Plan
from remediator.model.run_state import ENDED, RunState
from remediator.model.target import Found, find, keys_of
from remediator.runs.planning import NoPlan, read_plan, what_follows
from runbookd.inventory import Mode

NO_NEW_RUN = "no_new_run"
MAX_TARGETS = 50  # of one simulated delivery; a real storm is left to people long before
AT_ONCE = 10


@dataclass(frozen=True)
class Preview:
    """What would become of one episode. `would` is the state that a run would reach at once, or NO_NEW_RUN."""

    key: Key
    would: str
    reason: str = ""
    detail: str = ""
    mode: str | None = None
    plan: Plan | None = None
    decision: Decision | None = None
    facts: Facts | None = None


@dataclass(frozen=True)
class _Reading:
    """All that is read before the transaction begins: a target, its plan or why there is none, and what blocks it."""

    found: Found | str
    plan: Plan | NoPlan | None = None
    blocked: tuple[Sequence[str], str | None] = ((), None)


async def preview_of(world: World, key: Key) -> Preview:
    """What would be done if the alert of `key` fired now; a run that is under way is judged afresh."""
    reading = await _read(world, key)
    early = _without_deciding(key, reading)
    if early is not None:
        return early
    async with undone(world.ledger) as connection:
        if await episodes.open_for(connection, key) is None:
            await _take_in(connection, world, _made_up(world, key))
        episode = await episodes.open_for(connection, key)
        assert episode is not None  # noqa: S101 - a firing alert of a known target opens one
        run = await runs.last_of(connection, episode.id)
        if run is None or run.state in ENDED:
            run = await runs.create(connection, episode, world.clock.now())
        return await _decided(connection, world, key, episode, run, reading)


async def simulate(world: World, delivery: Delivery) -> Sequence[Preview]:
    """What would become of each episode that `delivery` concerns, if it came now.

    Raises:
        MalformedDelivery: it concerns more than MAX_TARGETS.
    """
    keys = sorted(_keys(world, delivery), key=lambda key: (key.stack, key.remediation, key.target))
    if len(keys) > MAX_TARGETS:
        raise MalformedDelivery(f"{len(keys)} targets at once; at most {MAX_TARGETS} can be simulated")
    limit = asyncio.Semaphore(AT_ONCE)

    async def read(key: Key) -> _Reading:
        async with limit:
            return await _read(world, key)

    readings = await asyncio.gather(*(read(key) for key in keys))
    async with undone(world.ledger) as connection:
        before = {key: await episodes.open_for(connection, key) for key in keys}
        await _take_in(connection, world, delivery)
        return [
            await _of_delivery(connection, world, key, before[key], reading)
            for key, reading in zip(keys, readings, strict=True)
        ]


@asynccontextmanager
async def undone(ledger: Ledger) -> AsyncIterator[AsyncConnection]:
    """A transaction that sees everything and whose writes never happened; what is logged in it says so."""
    try:
        with structlog.contextvars.bound_contextvars(preview=True):
            async with ledger.write() as connection:
                yield connection
                raise _Undo
    except _Undo:
        return


class _Undo(Exception):
    """Takes a transaction back."""


async def _read(world: World, key: Key) -> _Reading:
    found = find(world.inventory, world.remediations, key)
    if isinstance(found, str) or found.settings.mode is Mode.OFF:
        return _Reading(found)
    return _Reading(found, await read_plan(world, found, "preview"), await blockers(world, found))


def _without_deciding(key: Key, reading: _Reading) -> Preview | None:
    """What the engine ends without asking any bound."""
    if isinstance(reading.found, str):
        return Preview(key, RunState.REFUSED, "unknown_target", reading.found)
    mode = str(reading.found.settings.mode)
    if reading.plan is None:
        return Preview(key, RunState.REFUSED, "mode_off", "the mode is off", mode)
    if isinstance(reading.plan, NoPlan):
        return Preview(key, reading.plan.state, reading.plan.reason, reading.plan.detail, mode)
    return None


async def _of_delivery(
    connection: AsyncConnection, world: World, key: Key, before: Episode | None, reading: _Reading
) -> Preview:
    episode = await episodes.open_for(connection, key)
    if episode is None:
        why = "the episode ends: nothing fires any more" if before else "nothing fires, or it is old news"
        return Preview(key, NO_NEW_RUN, "nothing_fires", why)
    last = await runs.last_of(connection, episode.id)
    if last is not None and last.state not in ENDED:
        return Preview(key, NO_NEW_RUN, "under_way", f"joins run {last.id}, which is {last.state}")
    waits = _cools_down(world, last, reading.found)
    if waits is not None:
        return Preview(key, NO_NEW_RUN, "cooldown", f"run {last.id if last else ''} has just ended; next at {waits}")
    early = _without_deciding(key, reading)
    if early is not None:
        return early
    run = await runs.create(connection, episode, world.clock.now())
    return await _decided(connection, world, key, episode, run, reading)


def _cools_down(world: World, last: Run | None, found: Found | str) -> datetime | None:
    """Until when the engine plans no further run of the episode."""
    if last is None or last.finished_at is None or last.state is RunState.INTERRUPTED:
        return None
    cooldown = found.settings.cooldown if isinstance(found, Found) else world.inventory.limits.max_alert_age
    until = last.finished_at + cooldown
    return until if until > world.clock.now() else None


async def _decided(
    connection: AsyncConnection, world: World, key: Key, episode: Episode, run: Run, reading: _Reading
) -> Preview:
    found, plan = reading.found, reading.plan
    assert isinstance(found, Found)  # noqa: S101 - see _without_deciding
    assert isinstance(plan, Plan)  # noqa: S101
    planned = replace(run, found=plan.found, population=plan.population)
    facts = await gather(connection, world, found, planned, episode, reading.blocked)
    decision = decide(facts)
    state, reason = what_follows(found.settings, planned, decision, plan)
    detail = decision.detail if reason == decision.reason else ""
    return Preview(key, state, reason, detail, str(found.settings.mode), plan, decision, facts)


async def _take_in(connection: AsyncConnection, world: World, delivery: Delivery) -> None:
    await take_in_all(connection, world, [(Kept(0, world.clock.now(), b""), delivery)])


def _keys(world: World, delivery: Delivery) -> Iterable[Key]:
    labels = (alert.labels for alert in delivery.alerts if "remediation" in alert.labels)
    return keys_of(labels, world.remediations)


def _made_up(world: World, key: Key) -> Delivery:
    """A delivery of an alert that begins to fire now."""
    alert = Alert(status="firing", labels=_labels(world, key), startsAt=world.clock.now(), fingerprint="preview")
    return Delivery(version="4", alerts=(alert,))


def _labels(world: World, key: Key) -> dict[str, str]:
    """The labels that lead to `key`; see target.key_of."""
    _, _, rest = key.target.removeprefix(f"{key.stack}/").partition("/")
    labels = {"alertname": "(preview)", "stack": key.stack, "remediation": key.remediation}
    if world.remediations[key.remediation].kind != "queues":
        return labels | {"target": rest}
    name, _, queue = rest.partition("/")
    return labels | {"target": name, "queue": queue}
