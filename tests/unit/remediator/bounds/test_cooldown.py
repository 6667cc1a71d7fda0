"""No crash, ended episode or clock set back shortens the cooldown."""

from tests.unit.remediator.conftest import EngineHarness
from tests.unit.remediator.folder_remediation import no_fault


async def test_cooldown_is_not_shortened_by_a_clock_set_back(bench: EngineHarness) -> None:
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


async def test_interrupted_run_does_not_hide_an_earlier_cooldown(bench: EngineHarness) -> None:
    """Invariant 17: the earlier run ended in the future, since the clock was set back."""

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


async def test_cooldown_counts_from_the_latest_run_of_any_episode(bench: EngineHarness) -> None:
    for wait in (10, 1, 0):
        bench.shelf.fill("a")
        starts = bench.clock.now().isoformat()
        await bench.deliver(starts=starts)
        await bench.work()
        if wait:
            await bench.deliver(starts=starts, status="resolved")
            await bench.work()
        bench.clock.advance(minutes=wait)
    outcomes = [(run.state, run.reason) for run in await bench.runs()]
    assert outcomes == [("succeeded", ""), ("succeeded", ""), ("deferred", "cooldown")]


async def test_cooldown_counts_from_the_latest_end_when_the_clock_was_set_back(bench: EngineHarness) -> None:
    """Invariant 17: the second run ends before the first, since the clock was set back during it."""

    async def set_back() -> None:
        bench.clock.advance(minutes=-16)

    for fault in (no_fault, set_back):
        bench.shelf.after = fault
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
    outcomes = [(run.state, run.reason) for run in await bench.runs()]
    assert outcomes == [("succeeded", ""), ("succeeded", ""), ("deferred", "cooldown")]
