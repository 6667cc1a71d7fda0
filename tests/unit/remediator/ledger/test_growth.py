"""Nothing that a sender or a server chooses grows without end in the ledger."""

from sqlalchemy import Text, cast, func, insert, select

from remediator.ledger import episodes
from remediator.ledger.schema import episode, pause, storm
from remediator.model.cuts import CUTS, MAX_BOUND, MAX_DETAIL, MAX_VALUE
from remediator.model.remediation import Plan
from tests.unit.remediator.conftest import START, EngineHarness
from tests.unit.remediator.payloads import delivery

LONG = ("f" * 500_000, "f" * 499_999)


async def test_long_fingerprints_are_kept_as_hashes(harness: EngineHarness) -> None:
    for fingerprint in LONG:
        await harness.deliver(fingerprint=fingerprint)
    await harness.work()
    async with harness.context.ledger.read() as connection:
        assert (await connection.execute(select(func.length(cast(episode.c.alerts, Text))))).scalar_one() < 2_000
    for fingerprint in LONG:
        await harness.deliver(status="resolved", fingerprint=fingerprint)
    await harness.work()
    async with harness.context.ledger.read() as connection:
        assert await episodes.all_open(connection) == []


async def test_evidence_and_outcomes_of_a_run_are_cut_and_counted(harness: EngineHarness) -> None:
    plan, before = harness.files.plan, dict(CUTS)

    async def large_plan() -> Plan:
        small = await plan()
        return Plan(small.items, small.found, evidence={"rows": [["x" * 100] * 100] * 100, "few": [1]})

    harness.files.plan = large_plan  # type: ignore[method-assign]
    harness.files.detail = "d" * 1_000_000
    harness.files.fill("a")
    await harness.deliver()
    await harness.work()
    run = await harness.last_run()
    assert run.state == "succeeded"
    assert run.evidence["plan"]["few"] == [1]
    assert len(run.evidence["plan"]["rows"]) < MAX_VALUE + 100
    assert len((await harness.items(run))[0].detail) < MAX_DETAIL + 100
    assert {part: number - before[part] for part, number in CUTS.items()} == {"evidence": 1, "detail": 1}


async def test_long_sentence_of_a_bound_is_cut(harness: EngineHarness) -> None:
    harness.files.fill(*(f"{number}" for number in range(9)))
    async with harness.context.ledger.write() as connection:
        values = {"reason": "r" * 100_000, "begun_at": START, "begun_by": "oncall"}
        await connection.execute(insert(pause).values(**values))
    await harness.deliver()
    await harness.work()
    refused_by = (await harness.last_run()).evidence["bounds"]["refused_by"]
    assert set(refused_by) == {"kill_switch", "max_items"}
    assert len(refused_by["kill_switch"]) < MAX_BOUND + 100


async def test_storm_that_goes_on_is_one_row(harness: EngineHarness) -> None:
    body = delivery().replace(b'"truncatedAlerts": 0', b'"truncatedAlerts": 3')
    for _ in range(5):
        harness.clock.advance(minutes=15)
        await harness.context.ledger.accept(harness.clock.now(), body)
        await harness.work()
    async with harness.context.ledger.read() as connection:
        assert (await connection.execute(select(func.count()).select_from(storm))).scalar_one() == 1
