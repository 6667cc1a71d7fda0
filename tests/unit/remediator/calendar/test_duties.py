"""When duties are due, whatever proves that they were done."""

import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from remediator.calendar.duties import DutyState, DutyStatus, read_duties
from remediator.ledger import duties
from remediator.ledger.duties import Completion
from runbookd.inventory import Duty, Inventory
from tests.inventory_data import data_of
from tests.unit.remediator.conftest import START, EngineHarness, engine_harness

DRILL = {"every": "31d", "grace": "2d"}


def with_duties(**named: Any) -> Inventory:
    main = {"dsn": "postgresql://db/shop"}
    stack = {
        "postgres": {"main": main},
        "duties": named,
        "remediations": {"clear_folder": {"mode": "auto", "settle": "0s"}},
    }
    return Inventory.model_validate({"stacks": {"shop": stack}})


@pytest.fixture
async def harness(folder: Path) -> AsyncIterator[EngineHarness]:
    async with engine_harness(folder, with_duties(drill=DRILL)) as harness:
        yield harness


async def status(harness: EngineHarness) -> DutyStatus:
    async with harness.context.ledger.read() as connection:
        (found,) = await read_duties(connection, harness.context)
    return found


async def record(harness: EngineHarness, **ago: float) -> None:
    completion = Completion(harness.clock.now() - timedelta(**ago), "oncall")
    async with harness.context.ledger.write() as connection:
        await duties.record(connection, "shop", "drill", completion, harness.clock.now())


async def test_duty_that_was_never_done_counts_from_its_first_sight(harness: EngineHarness) -> None:
    await harness.work(1)
    harness.clock.advance(days=31)
    await harness.cut_power()
    await harness.work(1)
    found = await status(harness)
    assert (found.last, found.first_seen_at) == (None, START)
    assert found.state(harness.clock.now()) is DutyState.NEVER_DONE
    assert found.state(harness.clock.now() + timedelta(seconds=1)) is DutyState.DUE
    assert found.state(harness.clock.now() + timedelta(days=2, seconds=1)) is DutyState.OVERDUE


async def test_last_completion_counts_even_if_an_older_one_is_recorded_later(harness: EngineHarness) -> None:
    await record(harness, days=1)
    await record(harness, days=20)
    assert (await status(harness)).due_at == START - timedelta(days=1) + timedelta(days=31)


async def test_succeeded_run_of_the_remediation_counts_as_done(folder: Path) -> None:
    async with engine_harness(folder, with_duties(drill={**DRILL, "remediation": "clear_folder"})) as harness:
        await harness.work(1)
        assert (await status(harness)).last is None
        harness.files.fill("a")
        await harness.deliver()
        await harness.work()
        await record(harness, days=1)
        last = (await status(harness)).last
        assert last is not None
        assert (last.recorded_by, last.note) == ("remediator", "a run of clear_folder"), "the later of both counts"


async def test_secrets_are_as_old_as_their_oldest_readable_file(folder: Path, tmp_path: Path) -> None:
    stacks = with_duties(rotation={"every": "90d", "secrets": True})
    for name, days in (("new", 1), ("old", 100)):
        (tmp_path / name).write_text("secret")
        changed = (START - timedelta(days=days)).timestamp()
        os.utime(tmp_path / name, (changed, changed))
    main = {"dsn_file": str(tmp_path / "new"), "admin_dsn_file": str(tmp_path / "old")}
    spare = {"dsn_file": str(tmp_path / "absent")}
    raw = data_of(stacks)
    raw["stacks"]["shop"] |= {
        "postgres": {"main": main, "spare": spare},
        "duties": {"rotation": {"every": "90d", "secrets": True}},
    }
    async with engine_harness(folder, Inventory.model_validate(raw)) as harness:
        found = await status(harness)
    assert found.counts_from == START - timedelta(days=100)
    assert found.last is not None
    assert found.last.note == f"{tmp_path / 'old'} is the oldest of 2 secret files"
    assert found.state(START) is DutyState.OVERDUE


@pytest.mark.parametrize(
    ("duty", "reason"),
    [
        ({}, "every"),
        ({"every": "10m"}, "must be at least 1h"),
        ({"every": "31d", "priority": "P0"}, "'P2' or 'P3'"),
        ({"every": "31d", "secrets": True, "remediation": "run_backup"}, "keep one"),
        ({"every": "31d", "secrets": "yes"}, "boolean"),
    ],
)
def test_duty_that_makes_no_sense_is_refused(duty: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Duty.model_validate(duty)
