"""The cooldown is never shorter than it says: not by a crash, an episode that ended, or a clock that was set back."""

from tests.unit.remediator.conftest import EngineHarness
from tests.unit.remediator.folder_remediation import no_fault


async def test_a_clock_that_is_set_back_shortens_no_cooldown(bench: EngineHarness) -> None:
    """Invariant 17."""
    bench.shelf.fill("a")
    await bench.deliver()
    await bench.work()
    await bench.deliver(status="resolved")
    await bench.work()
    bench.clock.advance(minutes=-30)
    bench.shelf.fill("b")
    await bench.deliver(starts="2026-03-01T12:10:00Z")
    await bench.work()
    assert ((await bench.last_run()).state, (await bench.last_run()).reason) == ("deferred", "cooldown")
    assert bench.shelf.touched == ["a"]


async def test_an_interrupted_run_hides_no_cooldown(bench: EngineHarness) -> None:
    """Invariant 17: the run before it ended later than now, since the clock was set back."""

    async def repeat() -> None:
        bench.shelf.fill("a", "b")
        await bench.deliver(starts=bench.clock.now().isoformat())
        await bench.work()
        await bench.deliver(starts=bench.clock.now().isoformat(), status="resolved")
        await bench.work()

    async def resolve() -> None:
        await bench.deliver(starts=bench.clock.now().isoformat(), status="resolved")
        await bench.engine.tick()

    await repeat()
    bench.clock.advance(minutes=6)
    bench.shelf.after = resolve
    await repeat()
    bench.shelf.after = no_fault
    bench.clock.advance(minutes=-6)
    bench.shelf.fill("c")
    await bench.deliver(starts="2026-03-01T12:10:00Z")
    await bench.work()
    assert [run.state for run in await bench.runs()] == ["succeeded", "interrupted", "deferred"]
    assert (await bench.last_run()).reason == "cooldown"


async def test_the_cooldown_counts_from_the_latest_run_of_any_episode(bench: EngineHarness) -> None:
    for wait in (10, 1, 0):
        bench.shelf.fill("a")
        starts = bench.clock.now().isoformat()
        await bench.deliver(starts=starts)
        await bench.work()
        if wait:
            await bench.deliver(starts=starts, status="resolved")
            await bench.work()
        bench.clock.advance(minutes=wait)
    found = [(run.state, run.reason) for run in await bench.runs()]
    assert found == [("succeeded", ""), ("succeeded", ""), ("deferred", "cooldown")]


async def test_the_cooldown_counts_from_the_run_that_ended_last_by_any_clock(bench: EngineHarness) -> None:
    """Invariant 17: the second run begins after the first, and ends before it, since the clock was set back in it."""

    async def set_back() -> None:
        bench.clock.advance(minutes=-16)

    for happens in (no_fault, set_back):
        bench.shelf.after = happens
        bench.shelf.fill("a")
        starts = bench.clock.now().isoformat()
        await bench.deliver(starts=starts)
        await bench.work()
        await bench.deliver(starts=starts, status="resolved")
        await bench.work()
        bench.clock.advance(minutes=6)
    bench.shelf.after = no_fault
    bench.shelf.fill("b")
    await bench.deliver(starts="2026-03-01T12:10:00Z")
    await bench.work()
    found = [(run.state, run.reason) for run in await bench.runs()]
    assert found == [("succeeded", ""), ("succeeded", ""), ("deferred", "cooldown")]
