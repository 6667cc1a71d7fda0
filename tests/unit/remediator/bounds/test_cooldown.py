"""No crash, ended episode or clock set back shortens the cooldown."""

from tests.unit.remediator.conftest import EngineHarness
from tests.unit.remediator.folder_remediation import no_fault


async def test_cooldown_is_not_shortened_by_a_clock_set_back(harness: EngineHarness) -> None:
    """Invariant 17."""
    harness.files.fill("a")
    await harness.deliver()
    await harness.work()
    await harness.deliver(status="resolved")
    await harness.work()
    harness.clock.advance(minutes=-30)
    harness.files.fill("b")
    await harness.deliver(starts="2026-03-01T12:10:00Z")
    await harness.work()
    assert ((await harness.last_run()).state, (await harness.last_run()).reason) == ("deferred", "cooldown")
    assert harness.files.touched == ["a"]


async def test_interrupted_run_does_not_hide_an_earlier_cooldown(harness: EngineHarness) -> None:
    """Invariant 17: the earlier run ended in the future, since the clock was set back."""

    async def repeat() -> None:
        harness.files.fill("a", "b")
        await harness.deliver(starts=harness.clock.now().isoformat())
        await harness.work()
        await harness.deliver(starts=harness.clock.now().isoformat(), status="resolved")
        await harness.work()

    async def resolve() -> None:
        await harness.deliver(starts=harness.clock.now().isoformat(), status="resolved")
        await harness.engine.tick()

    await repeat()
    harness.clock.advance(minutes=6)
    harness.files.after = resolve
    await repeat()
    harness.files.after = no_fault
    harness.clock.advance(minutes=-6)
    harness.files.fill("c")
    await harness.deliver(starts="2026-03-01T12:10:00Z")
    await harness.work()
    assert [run.state for run in await harness.runs()] == ["succeeded", "interrupted", "deferred"]
    assert (await harness.last_run()).reason == "cooldown"


async def test_cooldown_counts_from_the_latest_run_of_any_episode(harness: EngineHarness) -> None:
    for wait in (10, 1, 0):
        harness.files.fill("a")
        starts = harness.clock.now().isoformat()
        await harness.deliver(starts=starts)
        await harness.work()
        if wait:
            await harness.deliver(starts=starts, status="resolved")
            await harness.work()
        harness.clock.advance(minutes=wait)
    outcomes = [(run.state, run.reason) for run in await harness.runs()]
    assert outcomes == [("succeeded", ""), ("succeeded", ""), ("deferred", "cooldown")]


async def test_cooldown_counts_from_the_latest_end_when_the_clock_was_set_back(harness: EngineHarness) -> None:
    """Invariant 17: the second run ends before the first, since the clock was set back during it."""

    async def set_back() -> None:
        harness.clock.advance(minutes=-16)

    for fault in (no_fault, set_back):
        harness.files.after = fault
        harness.files.fill("a")
        starts = harness.clock.now().isoformat()
        await harness.deliver(starts=starts)
        await harness.work()
        await harness.deliver(starts=starts, status="resolved")
        await harness.work()
        harness.clock.advance(minutes=6)
    harness.files.after = no_fault
    harness.files.fill("b")
    await harness.deliver(starts="2026-03-01T12:10:00Z")
    await harness.work()
    outcomes = [(run.state, run.reason) for run in await harness.runs()]
    assert outcomes == [("succeeded", ""), ("succeeded", ""), ("deferred", "cooldown")]
