"""A simulated remediator decides as the live one, from deliveries to messages, and reaches nothing."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from remediator.bounds.surroundings import SurroundingFacts
from remediator.model.remediation import ItemState
from remediator.model.run_state import RunState
from remediator.remediations import REMEDIATIONS
from remediator.simulation.faults import SimulationFailed
from remediator.simulation.simulation import Simulation, simulation
from remediator.simulation.targets import Effect, Reading
from remediator.simulation.virtual_time import run_virtually
from runbookd.inventory import Inventory, Reminder
from tests.unit.remediator.simulation.conftest import (
    IDLE,
    START,
    URGENT,
    NumberedTargets,
    simulated_inventory,
)

Script = Callable[[Simulation], Awaitable[Any]]
MINUTE = timedelta(minutes=1)
RESTART = {"alertname": "Down", "stack": "shop", "target": "api", "remediation": "restart_service"}


def play(script: Script, inventory: Inventory | None = None, targets: NumberedTargets | None = None) -> Any:
    """Run `script` in a simulation and return its result."""

    async def main() -> Any:
        stacks = simulated_inventory() if inventory is None else inventory
        async with simulation(stacks, targets or NumberedTargets(), START) as simulated:
            return await script(simulated)

    return run_virtually(main())


async def _states(simulated: Simulation) -> list[tuple[RunState, str]]:
    return [(run.state, run.reason) for run in await simulated.runs()]


async def one_alert(simulated: Simulation) -> list[tuple[RunState, str]]:
    simulated.alertmanager.fire(IDLE)
    await simulated.advance(MINUTE)
    return await _states(simulated)


@pytest.mark.parametrize(
    ("settings", "reading", "expected"),
    [
        ({}, Reading(found=2), (RunState.SUCCEEDED, "")),
        ({"mode": "shadow"}, Reading(found=2), (RunState.SHADOW, "")),
        ({"mode": "approve"}, Reading(found=2), (RunState.AWAITING_APPROVAL, "")),
        ({"max_items": 1}, Reading(found=2), (RunState.REFUSED, "max_items")),
        ({"max_share": 0.1}, Reading(found=2, population=10), (RunState.REFUSED, "max_share")),
        ({"min_firing": "5m"}, Reading(found=2), (RunState.DEFERRED, "min_firing")),
        ({}, Reading(found=0), (RunState.NOTHING_TO_DO, "")),
        ({}, Reading(error="no answer"), (RunState.FAILED, "target_unreachable")),
    ],
)
def test_a_run_ends_as_its_settings_and_its_size_say(
    settings: dict[str, Any], reading: Reading, expected: tuple[RunState, str]
) -> None:
    targets = NumberedTargets(reading)
    assert play(one_alert, simulated_inventory(**settings), targets) == [expected]


@pytest.mark.parametrize(
    ("effect", "expected"),
    [
        (Effect(is_clean=False), (RunState.INEFFECTIVE, "still_there")),
        (Effect(ItemState.FAILED), (RunState.FAILED, "effect_failed")),
        (Effect(ItemState.UNKNOWN), (RunState.UNKNOWN, "outcome_unknown")),
        (Effect(seconds=3_600, lookup=ItemState.APPLIED), (RunState.SUCCEEDED, "")),
    ],
)
def test_a_run_ends_as_its_effect(effect: Effect, expected: tuple[RunState, str]) -> None:
    async def script(simulated: Simulation) -> list[tuple[RunState, str]]:
        simulated.alertmanager.fire(IDLE)
        await simulated.advance(5 * MINUTE)
        return (await _states(simulated))[:1]

    assert play(script, targets=NumberedTargets(what_happens=effect)) == [expected]


def test_an_alert_that_goes_on_gets_runs_up_to_the_hourly_limit() -> None:
    async def script(simulated: Simulation) -> list[tuple[RunState, str]]:
        simulated.alertmanager.fire(IDLE)
        await simulated.advance(40 * MINUTE)
        return await _states(simulated)

    assert play(script) == [(RunState.SUCCEEDED, "")] * 3 + [(RunState.DEFERRED, "rate")]


def test_an_alert_that_resolves_ends_its_episode_and_a_run_that_waits() -> None:
    async def script(simulated: Simulation) -> tuple[Any, Any]:
        simulated.alertmanager.fire(IDLE)
        await simulated.advance(2 * MINUTE)
        simulated.alertmanager.resolve(IDLE)
        await simulated.advance(2 * MINUTE)
        [episode] = await simulated.episodes()
        return episode.end_reason, await _states(simulated)

    assert play(script, simulated_inventory(mode="approve")) == ("resolved", [(RunState.CANCELLED, "resolved")])


def test_the_ladder_climbs_at_its_times_and_stops_for_an_acknowledgement() -> None:
    async def script(simulated: Simulation, acknowledges: bool) -> list[tuple[str, float]]:
        simulated.alertmanager.fire(URGENT)
        await simulated.advance(10 * MINUTE)
        if acknowledges:
            await simulated.acknowledge((await simulated.episodes())[0].id)
        await simulated.advance(30 * MINUTE)
        steps = [each for each in await simulated.messages() if "/step/" in each.key]
        return [(each.contact, round((each.created_at - START) / MINUTE)) for each in steps]

    assert play(lambda simulated: script(simulated, acknowledges=False)) == [("manager", 30)]
    assert play(lambda simulated: script(simulated, acknowledges=True)) == []


def test_an_approved_run_acts_and_a_rejected_one_does_not() -> None:
    async def script(simulated: Simulation, approves: bool) -> list[tuple[RunState, str]]:
        simulated.alertmanager.fire(IDLE)
        await simulated.advance(MINUTE)
        [run] = await simulated.runs()
        await (simulated.approve(run.id) if approves else simulated.reject(run.id))
        await simulated.advance(MINUTE)
        return await _states(simulated)

    inventory = simulated_inventory(mode="approve")
    assert play(lambda simulated: script(simulated, approves=True), inventory) == [(RunState.SUCCEEDED, "")]
    assert play(lambda simulated: script(simulated, approves=False), inventory) == [(RunState.REJECTED, "by oncall")]


def test_a_pause_refuses_and_its_end_lets_the_next_confirmation_act() -> None:
    async def script(simulated: Simulation) -> list[tuple[RunState, str]]:
        await simulated.pause("looking", span=10 * MINUTE)
        simulated.alertmanager.fire(IDLE)
        await simulated.advance(13 * MINUTE)
        return await _states(simulated)

    assert play(script) == [(RunState.REFUSED, "kill_switch")] * 2 + [(RunState.SUCCEEDED, "")]


def test_a_crash_within_an_effect_is_settled_by_a_look_after_the_restart() -> None:
    async def script(simulated: Simulation) -> list[tuple[RunState, str]]:
        simulated.alertmanager.fire(IDLE)
        await simulated.advance(timedelta(seconds=10))
        await simulated.crash()
        await simulated.advance(MINUTE)
        await simulated.start()
        await simulated.advance(MINUTE)
        return await _states(simulated)

    slow = NumberedTargets(what_happens=Effect(seconds=30, lookup=ItemState.APPLIED))
    assert play(script, targets=slow) == [(RunState.INTERRUPTED, "crash")]
    lost = NumberedTargets(what_happens=Effect(seconds=30, lookup=ItemState.UNKNOWN))
    assert play(script, targets=lost) == [(RunState.UNKNOWN, "crash")]


def test_an_outage_of_the_ledger_accepts_nothing_and_its_alerts_come_again() -> None:
    async def script(simulated: Simulation) -> tuple[Any, Any]:
        simulated.begin_outage()
        simulated.alertmanager.fire(IDLE)
        await simulated.advance(10 * MINUTE)
        await simulated.end_outage()
        runs_in_outage = await simulated.runs()
        await simulated.advance(MINUTE)
        return list(runs_in_outage), await _states(simulated)

    assert play(script) == ([], [(RunState.SUCCEEDED, "")])


def test_a_reported_deploy_and_what_surrounds_a_service_refuse_its_restart() -> None:
    async def script(simulated: Simulation, deploys: bool) -> list[tuple[RunState, str]]:
        if deploys:
            await simulated.begin_deploy("shop")
        simulated.alertmanager.fire(RESTART)
        await simulated.advance(MINUTE)
        return await _states(simulated)

    one, refused = NumberedTargets(Reading(found=1)), [(RunState.REFUSED, "requires")]
    assert play(lambda simulated: script(simulated, deploys=True), targets=one) == [(RunState.REFUSED, "deploy")]
    down = NumberedTargets(Reading(found=1), around={"requires": ["shop/postgres/main does not answer"]})
    assert play(lambda simulated: script(simulated, deploys=False), targets=down) == refused
    assert play(lambda simulated: script(simulated, deploys=False), targets=one) == [(RunState.SUCCEEDED, "")]


async def _starts_of_runs(simulated: Simulation) -> list[tuple[RunState, float]]:
    """Return each run of an alert that fires for 11 minutes, and is delivered at once and after 6."""
    simulated.alertmanager.fire(IDLE)
    await simulated.advance(11 * MINUTE)
    return [(run.state, ((run.admitted_at or run.created_at) - START) / MINUTE) for run in await simulated.runs()]


def test_a_deferred_run_acts_as_soon_as_its_bound_clears() -> None:
    [(state, minutes)] = play(_starts_of_runs, simulated_inventory(min_firing="8m"))
    assert (state, round(minutes, 1)) == (RunState.SUCCEEDED, 8.0)


def test_the_next_run_begins_as_soon_as_the_cooldown_is_over() -> None:
    runs = play(_starts_of_runs, simulated_inventory(cooldown="8m"))
    assert [round(minutes, 1) for _, minutes in runs] == [0.0, 8.1]


def test_the_servers_around_a_target_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Any] = []

    async def query_surroundings(*arguments: Any) -> SurroundingFacts:
        read.append(arguments)
        return SurroundingFacts((), (), ())

    async def script(simulated: Simulation) -> None:
        simulated.alertmanager.fire(RESTART)
        await simulated.advance(MINUTE)

    monkeypatch.setattr("remediator.bounds.facts.query_surroundings", query_surroundings)
    play(script, targets=NumberedTargets(Reading(found=1)))
    assert read == []


def test_two_simulations_of_the_same_script_leave_the_same_ledger() -> None:
    async def script(simulated: Simulation) -> list[Any]:
        for labels in (IDLE, IDLE | {"target": "spare"}, URGENT):
            simulated.alertmanager.fire(labels)
            await simulated.advance(timedelta(seconds=7))
        await simulated.advance(30 * MINUTE)
        return [*await simulated.runs(), *await simulated.episodes(), *await simulated.messages()]

    assert play(script) == play(script)


def test_no_session_of_a_simulated_remediation_is_the_real_one() -> None:
    async def script(simulated: Simulation) -> None:
        for name, remediation in simulated.context.remediations.items():
            assert remediation.open is not REMEDIATIONS[name].open, name
        assert simulated.context.remediations.keys() == REMEDIATIONS.keys()

    play(script)


def test_a_fault_of_the_simulated_code_ends_the_simulation() -> None:
    def fail(_: Any) -> Reading:
        raise ZeroDivisionError("a defect")

    with pytest.raises(SimulationFailed, match="ZeroDivisionError: a defect"):
        play(one_alert, targets=NumberedTargets(reading_at=fail))


def test_an_effect_may_skip_items_and_happens_once_it_is_done() -> None:
    happened: list[str] = []

    async def script(simulated: Simulation) -> list[tuple[ItemState, list[str]]]:
        simulated.alertmanager.fire(IDLE)
        await simulated.advance(timedelta(seconds=20))
        before = list(happened)
        await simulated.advance(MINUTE)
        return [(each.state, before) for each in await simulated.items(1)]

    slow = Effect(states=[ItemState.SKIPPED], seconds=30, happen=lambda: happened.append("done"))
    assert play(script, targets=NumberedTargets(Reading(found=1), slow)) == [(ItemState.SKIPPED, [])]
    assert happened == ["done"]


def test_an_alert_that_is_lost_ends_its_episode_as_vanished() -> None:
    async def script(simulated: Simulation) -> str | None:
        simulated.alertmanager.fire(IDLE)
        await simulated.advance(MINUTE)
        simulated.alertmanager.forget(IDLE)
        await simulated.advance(30 * MINUTE)
        [episode] = await simulated.episodes()
        return episode.end_reason

    assert play(script) == "vanished"


def test_an_alertmanager_that_does_not_answer_defers_what_block_on_guards() -> None:
    async def script(simulated: Simulation) -> list[tuple[RunState, str]]:
        simulated.alertmanager.outage = "no answer"
        simulated.alertmanager.fire(IDLE)
        await simulated.advance(MINUTE)
        return await _states(simulated)

    inventory = simulated_inventory(block_on=["HealthCheckFailing"])
    assert play(script, inventory) == [(RunState.DEFERRED, "alertmanager_unreadable")]


def test_an_acknowledgement_takes_back_no_step_that_was_sent() -> None:
    async def script(simulated: Simulation) -> list[str]:
        simulated.alertmanager.fire(URGENT)
        await simulated.advance(31 * MINUTE)
        await simulated.acknowledge(1)
        await simulated.advance(MINUTE)
        return [each.contact for each in await simulated.messages() if "/step/" in each.key]

    assert play(script) == ["manager"]


def test_reminders_come_at_their_interval() -> None:
    async def script(simulated: Simulation) -> list[float]:
        simulated.alertmanager.fire(URGENT)
        await simulated.advance(40 * MINUTE)
        reminders = [each for each in await simulated.messages() if each.key.startswith("reminder/")]
        return [(each.created_at - START) // MINUTE for each in reminders]

    inventory = simulated_inventory()
    reminders = {"update": Reminder(every=15 * MINUTE, contacts=("oncall",))}
    shop = inventory.stacks["shop"].model_copy(update={"reminders": reminders})
    assert play(script, inventory.model_copy(update={"stacks": {"shop": shop}})) == [15, 30]
