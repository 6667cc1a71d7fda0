"""Answers to requests for an approval: who gave them, how, and what the other operators learn."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select

from remediator.ledger import effects
from remediator.ledger.answers import Answer, list_answers
from remediator.ledger.audit_pages import list_audit
from remediator.ledger.runs import Run
from remediator.ledger.schema import audit
from remediator.model.errors import WrongState
from remediator.runs.approval import approve, reject
from remediator.server.answer_preview import preview_answer
from tests.unit.remediator.conftest import EngineHarness, engine_harness, inventory


@pytest.fixture
async def asking(folder: Path) -> AsyncIterator[EngineHarness]:
    async with engine_harness(folder, inventory(mode="approve", approve_within="1h", cooldown="0s")) as harness:
        yield harness


async def ask(harness: EngineHarness, *names: str) -> Run:
    harness.files.fill(*names)
    harness.clock.advance(minutes=10)
    await harness.deliver()
    await harness.work()
    run = await harness.last_run()
    assert run.state == "awaiting_approval"
    return run


async def answers(harness: EngineHarness, before: int | None = None) -> list[Answer]:
    async with harness.context.ledger.read() as connection:
        return list((await list_answers(connection, limit=2, before=before)).answers)


async def test_history_names_who_answered_by_which_channel_and_why(asking: EngineHarness) -> None:
    first = await ask(asking, "a")
    asking.clock.advance(minutes=2)
    await reject(asking.context, first.id, "dba", reason=" not now\n", channel="console")
    second = await ask(asking, "b")
    await approve(asking.context, second.id, "oncall")
    await asking.work()
    third = await ask(asking, "c")
    asking.clock.advance(minutes=61)
    await asking.work()
    newest, middle = await answers(asking)
    assert (newest.run.id, newest.event, newest.operator) == (third.id, "expired", "")
    assert (middle.run.id, middle.event, middle.operator, middle.channel) == (second.id, "approved", "oncall", "api")
    [oldest] = await answers(asking, before=middle.id)
    assert (oldest.run.id, oldest.event, oldest.operator, oldest.channel) == (first.id, "rejected", "dba", "console")
    assert oldest.reason == "not now"
    assert 115 < (oldest.at - oldest.asked_at).total_seconds() < 125


async def test_history_leaves_out_what_nobody_was_asked(asking: EngineHarness) -> None:
    await reject(asking.context, (await ask(asking, "a")).id, "dba")
    asking.clock.advance(minutes=10)
    await asking.deliver()
    await asking.work()
    assert (await asking.last_run()).reason == "same_items"
    assert [answer.operator for answer in await answers(asking)] == ["dba"]


async def test_second_answer_names_the_first(asking: EngineHarness) -> None:
    run = await ask(asking, "a")
    await approve(asking.context, run.id, "dba")
    with pytest.raises(WrongState, match=f"run {run.id} was already approved by dba"):
        await approve(asking.context, run.id, "oncall")
    await asking.work()
    with pytest.raises(WrongState, match=f"run {run.id} was already approved by dba and is succeeded"):
        await reject(asking.context, run.id, "oncall")
    other = await ask(asking, "b")
    await reject(asking.context, other.id, "dba")
    with pytest.raises(WrongState, match=f"run {other.id} was already rejected by dba"):
        await approve(asking.context, other.id, "oncall")


async def test_approval_of_another_plan_is_refused(asking: EngineHarness) -> None:
    run = await ask(asking, "a")
    for stale in ("", "0" * 64):
        with pytest.raises(WrongState, match="another plan than the one you were shown"):
            await approve(asking.context, run.id, "oncall", plan_hash=stale)
    assert (await approve(asking.context, run.id, "oncall", plan_hash=run.plan_hash)).approved_by == "oncall"


async def test_reason_of_a_rejection_is_part_of_the_trail(asking: EngineHarness) -> None:
    run = await ask(asking, "a")
    await reject(asking.context, run.id, "dba", reason="x" * 1_000)
    async with asking.context.ledger.read() as connection:
        row = (await connection.execute(select(audit).where(audit.c.event == "answered"))).one()
        page = await list_audit(connection, limit=3, run=run.id)
        older = await list_audit(connection, limit=3, run=run.id, before=page.next)
    assert (row.actor, row.detail["reason"], row.detail["channel"]) == ("dba", "x" * 500, "api")
    assert [entry.event for entry in page.entries] == ["rejected", "answered", "awaiting_approval"]
    assert [entry.event for entry in older.entries] == ["prechecked", "planned"]
    assert older.next is None


async def test_preview_names_the_items_that_are_gone_and_the_bounds_that_stop(asking: EngineHarness) -> None:
    run = await ask(asking, "a", "b", "c")
    async with asking.context.ledger.read() as connection:
        items = await effects.items(connection, run.id)
    preview = await preview_answer(asking.context, run, items, "oncall")
    assert (preview.gone, preview.problem) == (frozenset(), "")
    assert preview.decision is not None
    assert not preview.decision.refusals
    (asking.files.folder / "b").unlink()
    asking.files.fill("later")
    await asking.pause()
    preview = await preview_answer(asking.context, run, items, "oncall")
    assert preview.gone == {1}
    assert preview.decision is not None
    assert list(preview.decision.refusals) == ["kill_switch"]
    asking.files.reachable = False
    preview = await preview_answer(asking.context, run, items, "oncall")
    assert (preview.gone, preview.problem) == (frozenset(), "shop/postgres/main: no answer")
    assert (await asking.last_run()).state == "awaiting_approval"
