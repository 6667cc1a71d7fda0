"""The invariants hold after any sequence of deliveries, operator actions, crashes and clock changes.

They are checked after every step, against the ledger and the real effects.
"""

import asyncio
import gc
import shutil
import tempfile
import warnings
from collections import Counter
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import select

from remediator.ledger import effects, episodes, run_counts, runs, switches
from remediator.ledger.run_list import list_runs
from remediator.ledger.runs import Run
from remediator.ledger.schema import audit as trail
from remediator.ledger.schema import run as run_table
from remediator.model.episode_key import EpisodeKey
from remediator.model.errors import WrongState
from remediator.model.remediation import ItemState
from remediator.model.run_state import ACTIVE, ENDED, RunState
from remediator.runs import outcome
from remediator.runs.approval import approve, reject
from runbookd.inventory import Inventory
from tests.examples import examples
from tests.unit.remediator.audit_trail import first_break
from tests.unit.remediator.conftest import EngineHarness, engine_harness, inventory
from tests.unit.remediator.folder_remediation import FolderRemediation

TARGETS = ("main", "spare", "third", "fourth")
HOUR = timedelta(hours=1)
RATE, STACK_RATE, CONCURRENCY, MAX_ITEMS = 3, 5, 2, 5
COOLDOWN = timedelta(minutes=2)
NOT_ACTING = frozenset(RunState) - ACTIVE


def inventory_with_bounds(mode: str) -> Inventory:
    stacks = inventory(mode=mode, max_runs_per_hour=RATE, cooldown="2m", approve_within="10m", verify_within="0s")
    shop = stacks.stacks["shop"]
    main = shop.postgres["main"]
    limits = shop.limits.model_copy(update={"max_runs_per_hour": STACK_RATE})
    shop = shop.model_copy(update={"postgres": dict.fromkeys(TARGETS, main), "limits": limits})
    storm = stacks.limits.storm.model_copy(update={"targets": 3})
    all_limits = stacks.limits.model_copy(update={"concurrency": CONCURRENCY, "storm": storm})
    return stacks.model_copy(update={"stacks": {"shop": shop}, "limits": all_limits})


class RemediatorMachine(RuleBasedStateMachine):
    """A remediator with many concurrent runs, and everything that can happen to it."""

    targets = st.sampled_from(TARGETS)

    def __init__(self) -> None:
        super().__init__()
        outcome.SETTLE_ATTEMPTS = 1
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.folder = Path(tempfile.mkdtemp())
        self.serial = 0
        self.reservations: dict[int, datetime] = {}
        self.seen: dict[int, RunState] = {}

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    @initialize(mode=st.sampled_from(["auto"] * 5 + ["approve"] * 2 + ["shadow", "off"]), one=st.booleans())
    def start(self, mode: str, one: bool) -> None:
        (self.folder / "files").mkdir()
        self.mode = mode
        files = FolderRemediation(self.folder / "files", one_effect=one)
        self.harness: EngineHarness = self.do(
            self.stack.enter_async_context(engine_harness(files.folder, inventory_with_bounds(mode), files))
        )

    # The steps. Each one is a whole scenario; otherwise few sequences would reach an effect.

    @rule(
        which=targets,
        minutes=st.sampled_from([0.0, 0.0, 1.0, 3.0]),
        items=st.sampled_from([1, 2, 3, 6]),
        twice=st.booleans(),
        works=st.sampled_from([0, 2, 2, 2]),
    )
    def alert_fires(self, which: str, minutes: float, items: int, twice: bool, works: int) -> None:
        self.harness.clock.advance(minutes=minutes)
        self._fill(items)
        for _ in range(1 + twice):
            self._deliver(which)
        self.do(self.harness.work(works))

    @rule(which=st.permutations(TARGETS))
    def several_alerts_fire_after_a_quiet_hour(self, which: list[str]) -> None:
        self.harness.clock.advance(minutes=61)
        self._fill(2)
        for each in which[:RATE]:
            self._deliver(each)
        self.do(self.harness.work(2))

    @rule(which=targets)
    def alert_fires_again_after_an_ineffective_run(self, which: str) -> None:
        self.harness.clock.advance(minutes=61)
        for ineffective in (True, False):
            self.harness.files.refill = ineffective
            self._fill(1)
            self._deliver(which)
            self.do(self.harness.work(2))
            self.harness.clock.advance(minutes=3)

    @rule(which=targets, minutes=st.sampled_from([0.0, 1.0, 3.0]))
    def alert_resolves_and_fires_again(self, which: str, minutes: float) -> None:
        for status in ("firing", "resolved"):
            self._fill(1)
            self._deliver(which, status=status)
            self.do(self.harness.work(2))
        self.harness.clock.advance(minutes=minutes)
        self._deliver(which)
        self.do(self.harness.work(2))

    @rule(which=targets, works=st.sampled_from([0, 2]))
    def alert_resolves(self, which: str, works: int) -> None:
        self._deliver(which, status="resolved")
        self.do(self.harness.work(works))

    @rule(
        which=targets,
        at=st.sampled_from(["before", "after", "before_reading", "admission", "anywhere"]),
        steps=st.integers(0, 120),
        then=st.sampled_from([0, 2]),
    )
    def power_fails(self, which: str, at: str, steps: int, then: int) -> None:
        """Crash inside a tick: at an effect, in a query, after an admission, or after `steps` event-loop steps."""
        self._fill(2)
        self._deliver(which)
        self.do(self._cut(at, steps))
        self.do(self.harness.work(then))

    @rule(minutes=st.sampled_from([3, 11, 61]), works=st.sampled_from([0, 2]))
    def time_passes(self, minutes: float, works: int) -> None:
        self.harness.clock.advance(minutes=minutes)
        self.do(self.harness.work(works))

    @rule(minutes=st.sampled_from([0.3, 2, 30, 3_000]))
    def clock_is_set_back(self, minutes: float) -> None:
        self.harness.clock.advance(minutes=-minutes)

    @rule(how=st.sampled_from(["works", "works", "ineffective", "unreachable"]))
    def target_changes_behaviour(self, how: str) -> None:
        self.harness.files.refill, self.harness.files.reachable = how == "ineffective", how != "unreachable"

    @rule(
        which=targets,
        action=st.sampled_from(["pause", "resume", "resume", "close", "close", "approve", "approve", "reject"]),
    )
    def operator_acts(self, which: str, action: str) -> None:
        with suppress(WrongState):  # already answered, or expired
            self.do(
                self._decide_approvals(action == "approve")
                if action in ("approve", "reject")
                else self._operate(which, action)
            )

    def _fill(self, items: int) -> None:
        if not self.harness.files.names():
            self.harness.files.fill(*(f"item{self.serial + number}" for number in range(items)))
            self.serial += items

    def _deliver(self, which: str, status: str = "firing") -> None:
        starts = self.harness.clock.now().isoformat()
        self.do(self.harness.deliver(target=which, fingerprint=which, status=status, starts=starts))

    async def _cut(self, at: str, steps: int) -> None:
        async def never(*_: Any) -> None:
            await asyncio.get_running_loop().create_future()

        with pytest.MonkeyPatch.context() as patch:
            if at == "admission":
                patch.setattr("remediator.engine.run_driver.execute", never)
            elif at != "anywhere":
                patch.setattr(self.harness.files, at, never)
            tick = asyncio.create_task(self.harness.engine.tick())
            for _ in range(steps):
                await asyncio.sleep(0)
            if at == "anywhere":
                tick.cancel()
            await asyncio.gather(tick, return_exceptions=True)
            drive_tasks = list(self.harness.engine._drive_tasks.values())
            if at != "anywhere" and drive_tasks:
                await asyncio.wait(drive_tasks, timeout=0.1)
            await self.harness.cut_power()
            await asyncio.gather(*drive_tasks, return_exceptions=True)

    async def _operate(self, which: str, action: str) -> None:
        key, now = EpisodeKey("shop", "clear_folder", f"shop/postgres/{which}"), self.harness.clock.now()
        async with self.harness.context.ledger.write() as connection:
            if action == "pause":
                await switches.pause_now(connection, now, "oncall", "looking", None, timedelta(minutes=5))
            elif action == "resume":
                await switches.resume(connection, now, "oncall", None)
            else:
                await switches.close_breaker(connection, key, now, "oncall")

    async def _decide_approvals(self, approves: bool) -> None:
        for run in await self.harness.runs():
            if run.state is RunState.AWAITING_APPROVAL:
                await (approve if approves else reject)(self.harness.context, run.id, "oncall")
        await self.harness.work(1)

    # The invariants

    @invariant()
    def every_effect_is_admitted_and_recorded(self) -> None:
        """Invariants 4, 5, 6, 8, 9, 10, 12."""
        all_runs, items, events = self.do(self._read())
        assert sum(run.state in ACTIVE for run in all_runs) <= CONCURRENCY
        assert len({run.target for run in all_runs if run.state in ACTIVE}) == sum(
            run.state in ACTIVE for run in all_runs
        )
        touched = Counter(self.harness.files.touched)
        applied = Counter[str]()
        for run in all_runs:
            started = [each for each in items[run.id] if each.state is not ItemState.PLANNED]
            assert not started or (run.admitted_at is not None and (run.found or 0) <= MAX_ITEMS)
            assert not started or self.mode == "auto" or (self.mode == "approve" and run.approved_by is not None)
            applied.update(str(e.item.identity["name"]) for e in started if e.state is ItemState.APPLIED)
            unsettled = {ItemState.INTENDED, ItemState.UNKNOWN}
            touched.subtract(str(e.item.identity["name"]) for e in started if e.state in unsettled)
        assert all(applied[name] >= number for name, number in touched.items()), "an effect without a record"
        intended = (event for event in events if event.event == "intended")
        intents = Counter((event.run, place) for event in intended for place in event.detail["items"])
        assert not intents or max(intents.values()) == 1

    @invariant()
    def every_bound_is_respected(self) -> None:
        """Invariants 3, 4, 7, 15, 16, 17, checked on the audit trail in its order."""
        all_runs, _, events = self.do(self._read())
        admitted = sorted(run.admitted_at for run in all_runs if run.admitted_at is not None)
        for moment in admitted:
            assert sum(moment - HOUR < other <= moment for other in admitted) <= RATE
        for run in all_runs:
            before = self.reservations.get(run.id)
            assert before is None or run.admitted_at is not None, "a reservation was returned"
            if run.admitted_at is not None:
                self.reservations[run.id] = run.admitted_at
            assert self.seen.get(run.id) not in ENDED or run.state is self.seen[run.id], "an ended run moved"
            self.seen[run.id] = run.state
        self._follow({run.id: run for run in all_runs}, events)

    def _follow(self, runs_by_id: dict[int, Run], events: list[Any]) -> None:
        paused: datetime | None = None
        open_breakers, last_ended, acting = set[str](), dict[str, datetime](), dict[int, str]()
        for event in events:
            target = runs_by_id[event.run].target if event.run is not None else ""
            if event.event == RunState.ADMITTED:
                assert len(acting) < CONCURRENCY, "too many active runs"
                assert target not in acting.values(), "two active runs on one target"
                acting[event.run] = target
            elif event.event in NOT_ACTING:
                acting.pop(event.run, None)
            match event.event:
                case "paused":
                    paused = max(event.at + timedelta(minutes=5), paused or event.at)
                case "resumed":
                    paused = None
                case "breaker_opened":
                    open_breakers.add(target)
                case "breaker_closed":
                    open_breakers.discard(event.detail["target"])
                case "intended":
                    assert paused is None or event.at >= paused, "an intent after the kill switch"
                case "admitted":
                    assert target not in open_breakers, "an admission with its breaker open"
                    assert target not in last_ended or event.at >= last_ended[target] + COOLDOWN, (
                        "an admission during the cooldown"
                    )
                case "succeeded" | "ineffective" | "failed" | "unknown" if (
                    runs_by_id[event.run].admitted_at is not None
                ):
                    last_ended[target] = max(event.at, last_ended.get(target, event.at))

    @invariant()
    def trail_and_counters_are_complete(self) -> None:
        """Invariants 21 and 26."""
        self.do(self._check_record())

    async def _check_record(self) -> None:
        async with self.harness.context.ledger.read() as connection:
            assert await first_break(connection) is None
            rows = await connection.execute(select(run_table.c.target, run_table.c.state, run_table.c.reason))
            table_counts = Counter((row.target, row.state, row.reason) for row in rows if row.state in ENDED)
            tally_counts = {(r.target, r.state, r.reason): r.runs for r in await run_counts.all_counts(connection)}
        assert {key: number for key, number in tally_counts.items() if key[1] in ENDED} == table_counts

    async def _read(self) -> tuple[list[Run], dict[int, Any], list[Any]]:
        async with self.harness.context.ledger.read() as connection:
            all_runs = list((await list_runs(connection, limit=10_000)).runs)
            items = dict(await effects.items_of(connection, [run.id for run in all_runs]))
            events = list((await connection.execute(select(trail).order_by(trail.c.id))).all())
        return all_runs, items, events

    def teardown(self) -> None:
        """Invariant 13: after quiet hours every run has ended."""
        try:
            if hasattr(self, "harness"):
                self.do(self._come_to_rest())
        finally:
            self.do(self.stack.aclose())
            self.loop.close()
            shutil.rmtree(self.folder)

    async def _come_to_rest(self) -> None:
        for _ in range(4):
            await self.harness.work(2)
            self.harness.clock.advance(hours=2)
        await self.harness.run_vanished_checks()
        async with self.harness.context.ledger.read() as connection:
            assert await runs.unfinished(connection) == []
            assert await episodes.all_open(connection) == []


@pytest.fixture(autouse=True)
def no_garbage() -> None:
    """Collect the greenlets of earlier tests: CPython 3.11 fails if they end while hypothesis parses this file.

    A connection that another test left open is not this test's fault.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


TestRemediator = pytest.mark.timeout(300)(RemediatorMachine.TestCase)
TestRemediator.settings = settings(
    max_examples=examples(16),
    stateful_step_count=25,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)


class LongRemediatorMachine(RemediatorMachine):
    """The same machine for minutes, with other examples each time."""


TestLonger = pytest.mark.timeout(3_600)(pytest.mark.soak(LongRemediatorMachine.TestCase))
TestLonger.settings = settings(TestRemediator.settings, max_examples=150, stateful_step_count=60, derandomize=False)
