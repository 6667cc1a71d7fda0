"""Reloads, crashes, deliveries and approvals all at once: nothing is lost, doubled, or decided by an old inventory."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import select

from remediator.context import Context
from remediator.engine.engine import Engine
from remediator.ledger import deliveries, effects, runs, switches
from remediator.ledger.address import ledger_at
from remediator.ledger.effects import RunItem
from remediator.ledger.run_list import list_runs
from remediator.ledger.schema import audit
from remediator.model.clock import SystemClock
from remediator.model.episode_key import EpisodeKey
from remediator.model.errors import OperatorRemoved, WrongState
from remediator.model.remediation import ItemState, Remediation, RemediationSession, Scope
from remediator.model.run_state import RunState
from remediator.reload import InventorySwap
from remediator.runs.approval import approve
from remediator.server.bearer_tokens import BearerTokens
from runbookd.inventory import Inventory
from tests.unit.remediator.audit_trail import first_break
from tests.unit.remediator.folder_remediation import NO_UNDO, ROTATE, FolderRemediation
from tests.unit.remediator.payloads import alert, delivery

RELOADS = 50
CRASHES = 6
ENOUGH = 3  # admissions of each mode
TARGETS = ("a", "b", "c", "d")
OPERATORS = ("oncall", "dba")
MODES = ("approve", "auto", "approve", "shadow", "approve", "off")


@dataclass
class Storm:
    """One remediator, and the inventories that it was given, in order."""

    folder: Path
    context: Context
    engine: Engine = field(init=False)
    inventories: list[Inventory] = field(default_factory=list)
    choose: random.Random = field(default_factory=lambda: random.Random(7))  # noqa: S311

    def __post_init__(self) -> None:
        self.engine = Engine(self.context)

    async def reload(self, inventory: Inventory) -> None:
        swap = InventorySwap(self.context, BearerTokens({}, "{}"), self.engine.wake)
        await swap.apply(inventory, "dba")
        self.inventories.append(inventory)

    def next_inventory(self) -> Inventory:
        """Return one with other targets and operators, and after every third with another mode."""
        targets = [name for name in TARGETS if self.choose.random() < 0.8]
        operators = [name for name in OPERATORS if self.choose.random() < 0.7]
        return inventory(MODES[len(self.inventories) // 3 % len(MODES)], targets, operators)

    async def crash(self) -> None:
        for task in (self.running, *self.engine._drive_tasks.values()):
            task.cancel()
        await asyncio.sleep(0)
        self.start()

    def start(self) -> None:
        self.engine = Engine(self.context)
        self.running = asyncio.create_task(self.engine.run())


def inventory(mode: str, targets: list[str], operators: list[str]) -> Inventory:
    settings = {"mode": mode, "cooldown": "0s", "settle": "0s", "verify_within": "0s", "max_runs_per_hour": 9_999}
    breaker = {"failures": 9_999}
    shop = {
        "postgres": {name: {"dsn": "postgresql://db/shop"} for name in targets},
        "limits": {"max_runs_per_hour": 9_999},
        "remediations": {"clear_folder": {**settings, "breaker": breaker}},
    }
    return Inventory.model_validate(
        {
            "operators": {name: {"token_file": "/none"} for name in operators},
            "limits": {"concurrency": 4, "max_runs_per_hour": 9_999, "storm": {"targets": 99, "alerts": 999}},
            "stacks": {"shop": shop},
        }
    )


class Shelves:
    """A folder for each target, slow enough that reloads meet every state."""

    def __init__(self, folder: Path) -> None:
        self.by_target = {name: FolderRemediation(folder / name) for name in TARGETS}
        for files in self.by_target.values():
            files.folder.mkdir(parents=True)
            files.before = files.after = files.before_plan = files.before_reading = _take_time

    def open(self, scope: Scope) -> AbstractAsyncContextManager[RemediationSession]:
        return self.by_target[scope.target.name].open(scope)

    def remediation(self) -> Remediation:
        keys: frozenset[str] = frozenset()
        return Remediation("clear_folder", "postgres", keys, 9_999, False, self.open, NO_UNDO, permanent_fix=ROTATE)


async def _take_time() -> None:
    await asyncio.sleep(0.02)


@asynccontextmanager
async def storm(folder: Path) -> AsyncIterator[tuple[Storm, Shelves]]:
    shelves = Shelves(folder)
    async with ledger_at(f"sqlite:///{folder}/ledger.db").open() as ledger:
        first = inventory("auto", list(TARGETS), list(OPERATORS))
        remediations = {"clear_folder": shelves.remediation()}
        whole = Storm(folder, Context(first, ledger, SystemClock(), remediations, None), inventories=[first])
        whole.start()
        yield whole, shelves
        whole.engine.request_shutdown()
        await whole.engine.wait_for_runs()
        await whole.running


async def deliver_for_ever(whole: Storm, shelves: Shelves) -> None:
    for number in count():
        name = TARGETS[number % len(TARGETS)]
        shelves.by_target[name].fill(f"{name}{number}")
        await whole.context.ledger.accept(whole.context.clock.now(), delivery([alert(target=name, fingerprint=name)]))
        await asyncio.sleep(0.02)


async def operate_for_ever(whole: Storm) -> None:
    """Approve as any operator, also as one who has just left, and close every breaker."""
    while True:
        async with whole.context.ledger.write() as connection:
            for each in await switches.open_breakers(connection):
                key = EpisodeKey(each.stack, each.remediation, each.target)
                await switches.close_breaker(connection, key, whole.context.clock.now(), "dba")
        async with whole.context.ledger.read() as connection:
            waiting = [run for run in await runs.unfinished(connection) if run.state is RunState.AWAITING_APPROVAL]
        for run in waiting:
            with suppress(WrongState, OperatorRemoved):
                await approve(whole.context, run.id, whole.choose.choice(OPERATORS))
                whole.engine.wake()
        await asyncio.sleep(0.01)


async def reload_and_crash(whole: Storm) -> None:
    """Reload RELOADS times, on a slow machine more often, until runs of both modes were admitted in between."""
    for number in range(1, 10 * RELOADS):
        await whole.reload(whole.next_inventory())
        if number % (RELOADS // CRASHES) == 0:
            await whole.crash()
        if number >= RELOADS and await has_enough_admissions(whole):
            break
        await asyncio.sleep(0.1 * whole.choose.random())
    await whole.reload(inventory("auto", list(TARGETS), list(OPERATORS)))


async def read_trail(whole: Storm) -> Sequence[Any]:
    async with whole.context.ledger.read() as connection:
        return (await connection.execute(select(audit).order_by(audit.c.id))).all()


async def has_enough_admissions(whole: Storm) -> bool:
    admissions = judge_admissions(await read_trail(whole), whole.inventories)
    return min(admissions["auto"], admissions["approve"]) >= ENOUGH


async def settle(whole: Storm) -> None:
    async with asyncio.timeout(60):
        while True:
            async with whole.context.ledger.read() as connection:
                if not await runs.unfinished(connection) and not await deliveries.count_unprocessed(connection):
                    return
            await asyncio.sleep(0.05)


async def test_fifty_reloads_among_crashes_and_approvals_lose_and_double_nothing(tmp_path: Path) -> None:
    async with storm(tmp_path) as (whole, shelves):
        background = [asyncio.create_task(each) for each in (deliver_for_ever(whole, shelves), operate_for_ever(whole))]
        await reload_and_crash(whole)
        background[0].cancel()
        await settle(whole)
        background[1].cancel()
        await asyncio.gather(*background, return_exceptions=True)
        async with whole.context.ledger.read() as connection:
            all_runs = (await list_runs(connection, limit=9_999)).runs
            items = [each for run in all_runs for each in await effects.items(connection, run.id)]
            assert await first_break(connection) is None
        trail = await read_trail(whole)
    assert len([row for row in trail if row.event == "reloaded"]) == len(whole.inventories) - 1 > RELOADS
    touched = Counter(name for files in shelves.by_target.values() for name in files.touched)
    assert max(touched.values()) == 1
    applied = names_in_state(items, ItemState.APPLIED)
    unknown = names_in_state(items, ItemState.UNKNOWN)  # after a crash, the target was no longer in the inventory
    assert not [each for each in items if each.state is ItemState.INTENDED]
    assert applied <= touched <= applied + unknown, "the record has each effect, and each recorded effect was made"
    admissions = judge_admissions(trail, whole.inventories)
    assert min(admissions["auto"], admissions["approve"]) >= ENOUGH, "too few admissions to prove anything"


def names_in_state(items: list[RunItem], state: ItemState) -> Counter[str]:
    return Counter(str(each.item.identity["name"]) for each in items if each.state is state)


def judge_admissions(trail: Sequence[Any], inventories: list[Inventory]) -> Counter[str]:
    """Check that the inventory in use at each admission allowed it, and count them by mode."""
    in_use, approver, admissions = iter(inventories), {}, Counter[str]()
    current = next(in_use)
    for row in trail:
        if row.event == "reloaded":
            current = next(in_use)
        elif row.event == "approved":
            assert row.actor in current.operators
            approver[row.run] = row.actor
        elif row.event == "approval_withdrawn":
            del approver[row.run]
        elif row.event == RunState.ADMITTED:
            mode = current.stacks["shop"].remediations["clear_folder"].mode
            assert mode == "auto" or (mode == "approve" and approver[row.run] in current.operators)
            admissions[str(mode)] += 1
    return admissions
