"""Any sequence of deliveries, words of people, crashes and steps of the clock: what must never happen does not.

The invariants are asked after every step, of the ledger and of the effects that were really made.
"""

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import select

from inventory import Inventory
from remediator import execution
from remediator.errors import WrongState
from remediator.ledger import audit, control, episodes, runs, tally
from remediator.ledger.episodes import Key
from remediator.ledger.listing import list_runs
from remediator.ledger.runs import Run
from remediator.ledger.schema import audit as trail
from remediator.ledger.schema import run as run_table
from remediator.people import approve, reject
from remediator.remediations.base import ItemState
from remediator.states import ACTIVE, ENDED, RunState
from tests.unit.remediator.conftest import Bench, bench_with, inventory
from tests.unit.remediator.shelf import Shelf

TARGETS = ("main", "spare", "third", "fourth")
HOUR = timedelta(hours=1)
RATE, STACK_RATE, CONCURRENCY, MAX_ITEMS = 3, 5, 2, 5
COOLDOWN = timedelta(minutes=2)


def bounded(mode: str) -> Inventory:
    what = inventory(mode=mode, max_runs_per_hour=RATE, cooldown="2m", approve_within="10m", verify_within="0s")
    shop = what.stacks["shop"]
    one = shop.postgres["main"]
    limits = shop.limits.model_copy(update={"max_runs_per_hour": STACK_RATE})
    shop = shop.model_copy(update={"postgres": dict.fromkeys(TARGETS, one), "limits": limits})
    storm = what.limits.storm.model_copy(update={"targets": 3})
    over_all = what.limits.model_copy(update={"concurrency": CONCURRENCY, "storm": storm})
    return what.model_copy(update={"stacks": {"shop": shop}, "limits": over_all})


class Remediator(RuleBasedStateMachine):
    """One remediator, many runs at a time, and everything that can happen to it."""

    targets = st.sampled_from(TARGETS)

    def __init__(self) -> None:
        super().__init__()
        execution.SETTLE_ATTEMPTS = 1
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.folder = Path(tempfile.mkdtemp())
        self.serial = 0
        self.reservations: dict[int, datetime] = {}
        self.seen: dict[int, RunState] = {}

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    @initialize(mode=st.sampled_from(["auto", "auto", "auto", "approve", "shadow", "off"]), one=st.booleans())
    def start(self, mode: str, one: bool) -> None:
        (self.folder / "shelf").mkdir()
        self.mode = mode
        shelf = Shelf(self.folder / "shelf", one_effect=one)
        self.bench: Bench = self.do(self.stack.enter_async_context(bench_with(shelf.folder, bounded(mode), shelf)))

    # What can happen

    @rule(which=targets, late=st.integers(0, 3), twice=st.booleans())
    def it_fires(self, which: str, late: int, twice: bool) -> None:
        starts = (self.bench.clock.now() - timedelta(minutes=late)).isoformat()
        for _ in range(1 + twice):
            self.do(self.bench.deliver(target=which, fingerprint=which, starts=starts))

    @rule(which=targets)
    def it_is_resolved(self, which: str) -> None:
        starts = self.bench.clock.now().isoformat()
        self.do(self.bench.deliver(target=which, fingerprint=which, status="resolved", starts=starts))

    @rule(number=st.integers(1, 7))
    def the_shelf_is_filled(self, number: int) -> None:
        for _ in range(number):
            self.serial += 1
            self.bench.shelf.fill(f"item{self.serial}")

    @rule(refill=st.booleans(), reachable=st.integers(0, 4))
    def the_target_changes_its_ways(self, refill: bool, reachable: int) -> None:
        self.bench.shelf.refill, self.bench.shelf.reachable = refill, reachable > 0

    @rule()
    def the_engine_works(self) -> None:
        self.do(self.bench.work(2))

    @rule(at=st.sampled_from(["before", "after", "look"]), rounds=st.integers(0, 30))
    def the_power_is_cut(self, at: str, rounds: int) -> None:
        """In the middle of a round: before or after an effect, in a look, or wherever so many steps lead."""
        self.do(self._cut(at, rounds))

    async def _cut(self, at: str, rounds: int) -> None:
        async def never() -> None:
            await asyncio.get_running_loop().create_future()

        usual = getattr(self.bench.shelf, at)
        setattr(self.bench.shelf, at, never)
        await self.bench.engine.tick()
        for _ in range(rounds):
            await asyncio.sleep(0)
        driven = list(self.bench.engine._driving.values())
        await self.bench.cut_power()
        await asyncio.gather(*driven, return_exceptions=True)
        setattr(self.bench.shelf, at, usual)

    @rule(minutes=st.sampled_from([0.1, 1, 3, 11, 61]))
    def time_passes(self, minutes: float) -> None:
        self.bench.clock.turn(minutes=minutes)

    @rule(minutes=st.sampled_from([0.3, 2, 30]))
    def the_clock_is_set_back(self, minutes: float) -> None:
        self.bench.clock.turn(minutes=-minutes)

    @rule()
    def a_person_pauses(self) -> None:
        async def pause() -> None:
            async with self.bench.world.ledger.write() as connection:
                await control.pause_now(connection, self.bench.clock.now(), "oncall", "looking", None, None)

        self.do(pause())

    @rule()
    def a_person_resumes(self) -> None:
        async def resume() -> None:
            async with self.bench.world.ledger.write() as connection:
                await control.resume(connection, self.bench.clock.now(), "oncall", None)

        self.do(resume())

    @rule(which=targets)
    def a_person_closes_a_breaker(self, which: str) -> None:
        async def close() -> None:
            key = Key("shop", "clear_shelf", f"shop/postgres/{which}")
            async with self.bench.world.ledger.write() as connection:
                await control.close_breaker(connection, key, self.bench.clock.now(), "oncall")

        self.do(close())

    @precondition(lambda self: self.mode == "approve")
    @rule(yes=st.booleans())
    def a_person_answers(self, yes: bool) -> None:
        async def answer() -> None:
            for run in await self.bench.runs():
                if run.state is RunState.AWAITING_APPROVAL:
                    await (approve if yes else reject)(self.bench.world, run.id, "oncall")

        with suppress(WrongState):  # it was answered before, or has run out
            self.do(answer())

    # What must hold

    @invariant()
    def nothing_is_ever_touched_without_leave(self) -> None:
        """Invariants 4, 5, 6, 8, 9, 10, 12."""
        found, items, events = self.do(self._read())
        assert sum(run.state in ACTIVE for run in found) <= CONCURRENCY
        assert len({run.target for run in found if run.state in ACTIVE}) == sum(run.state in ACTIVE for run in found)
        touched = Counter(self.bench.shelf.touched)
        applied = Counter[str]()
        for run in found:
            begun = [each for each in items[run.id] if each.state is not ItemState.PLANNED]
            assert not begun or (run.admitted_at is not None and (run.found or 0) <= MAX_ITEMS)
            assert not begun or self.mode == "auto" or (self.mode == "approve" and run.approved_by is not None)
            applied.update(str(e.item.identity["name"]) for e in begun if e.state is ItemState.APPLIED)
            unsettled = {ItemState.INTENDED, ItemState.UNKNOWN}
            touched.subtract(str(e.item.identity["name"]) for e in begun if e.state in unsettled)
        assert all(applied[name] >= number for name, number in touched.items()), "an effect without a record"
        intended = (event for event in events if event.event == "intended")
        intents = Counter((event.run, place) for event in intended for place in event.detail["items"])
        assert not intents or max(intents.values()) == 1

    @invariant()
    def no_bound_is_broken(self) -> None:
        """Invariants 3, 7, 15, 16, 17: asked of the trail, in the order in which it was written."""
        found, _, events = self.do(self._read())
        admitted = sorted(run.admitted_at for run in found if run.admitted_at is not None)
        for moment in admitted:
            assert sum(moment - HOUR < other <= moment for other in admitted) <= RATE
        for run in found:
            before = self.reservations.get(run.id)
            assert before is None or run.admitted_at is not None, "a reservation was given back"
            if run.admitted_at is not None:
                self.reservations[run.id] = run.admitted_at
            assert self.seen.get(run.id) not in ENDED or run.state is self.seen[run.id], "an ended run moved"
            self.seen[run.id] = run.state
        self._follow({run.id: run for run in found}, events)

    def _follow(self, found: dict[int, Run], events: list[Any]) -> None:
        paused, open_breakers, ended = 0, set[str](), dict[str, datetime]()
        for event in events:
            target = found[event.run].target if event.run is not None else ""
            match event.event:
                case "paused":
                    paused += 1
                case "resumed":
                    paused = 0
                case "breaker_opened":
                    open_breakers.add(target)
                case "breaker_closed":
                    open_breakers.discard(event.detail["target"])
                case "intended":
                    assert not paused, "an intent after the kill switch"
                case "admitted":
                    assert target not in open_breakers, "admitted with its breaker open"
                    assert target not in ended or event.at >= ended[target] + COOLDOWN, "the cooldown was cut short"
                case "succeeded" | "ineffective" | "failed" | "unknown" if found[event.run].admitted_at is not None:
                    ended[target] = max(event.at, ended.get(target, event.at))

    @invariant()
    def the_record_is_whole(self) -> None:
        """Invariants 21 and 26."""
        self.do(self._check_record())

    async def _check_record(self) -> None:
        async with self.bench.world.ledger.read() as connection:
            assert await audit.first_break(connection) is None
            rows = await connection.execute(select(run_table.c.target, run_table.c.state, run_table.c.reason))
            counted = Counter((row.target, row.state, row.reason) for row in rows if row.state in ENDED)
            told = {(r.target, r.state, r.reason): r.runs for r in await tally.everything(connection)}
        assert {key: number for key, number in told.items() if key[1] in ENDED} == counted

    async def _read(self) -> tuple[list[Run], dict[int, Any], list[Any]]:
        async with self.bench.world.ledger.read() as connection:
            found = list((await list_runs(connection, limit=10_000)).runs)
            items = dict(await runs.items_of(connection, [run.id for run in found]))
            events = list((await connection.execute(select(trail).order_by(trail.c.id))).all())
        return found, items, events

    def teardown(self) -> None:
        """Invariant 13: whatever has happened, quiet hours end every run."""
        try:
            if hasattr(self, "bench"):
                self.do(self._come_to_rest())
        finally:
            self.do(self.stack.aclose())
            self.loop.close()
            shutil.rmtree(self.folder)

    async def _come_to_rest(self) -> None:
        for _ in range(4):
            await self.bench.work(2)
            self.bench.clock.turn(hours=2)
            self.bench.engine._next_vanished = 0
        async with self.bench.world.ledger.read() as connection:
            assert await runs.unfinished(connection) == []
            assert await episodes.all_open(connection) == []


TestRemediator = Remediator.TestCase
TestRemediator.settings = settings(
    max_examples=12,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)


class Longer(Remediator):
    """The same for minutes, and each time another way."""


TestLonger = pytest.mark.timeout(3_600)(pytest.mark.soak(Longer.TestCase))
TestLonger.settings = settings(TestRemediator.settings, max_examples=150, stateful_step_count=60, derandomize=False)
