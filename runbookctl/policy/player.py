"""Plays a case: lets its alerts and events happen in a simulation, and compares what it shows with what it expects."""

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from remediator.simulation.faults import SimulationFailed
from remediator.simulation.simulation import Simulation, simulation
from remediator.simulation.virtual_time import run_virtually
from runbookctl.policy.case_targets import CaseTargets
from runbookctl.policy.comparison import Difference, differences
from runbookctl.policy.file_format import LONGEST_CASE, AlertSpan, Case, Expectation, Freeze
from runbookctl.policy.happenings import EventFailed, Happenings
from runbookctl.policy.observation import Observation, observe
from runbookctl.policy.subjects import labels_of, stack_of
from runbookctl.policy.suite import ReadyCase
from runbookd.inventory import Freeze as FreezeSettings
from runbookd.inventory import Inventory, format_duration

END_OF_SECOND = timedelta(milliseconds=999)
MAX_SECONDS = 60  # of real time per case
CHECKED_EVERY = timedelta(hours=1)  # of the case


@dataclass(frozen=True)
class Failure:
    """A moment of a case at which something else was there than expected."""

    place: str
    at: timedelta
    difference: Difference
    seen: Observation


@dataclass(frozen=True)
class CaseResult:
    """The outcome of a case; without failures it has passed."""

    ready: ReadyCase
    failures: Sequence[Failure]
    seconds: float


@dataclass(frozen=True)
class _Step:
    """Something that happens at a moment of the case."""

    at: timedelta
    act: Callable[[], Awaitable[None]]


def play(ready: ReadyCase) -> CaseResult:
    """Play a case in virtual time and return what came of it."""
    begun = time.monotonic()
    try:
        failures = run_virtually(_play(ready, begun + MAX_SECONDS))
    except SimulationFailed as error:
        failures = [_broken(ready, "a simulation that works", str(error))]
    return CaseResult(ready, failures, time.monotonic() - begun)


async def _play(ready: ReadyCase, deadline: float) -> Sequence[Failure]:
    inventory = with_freezes(ready.inventory, ready.case)
    reloaded = {place: with_freezes(each, ready.case) for place, each in ready.reloaded.items()}
    targets = CaseTargets(ready.case, inventory)
    async with simulation(inventory, targets, ready.case.start, effect_timeout=LONGEST_CASE) as simulated:
        stage = _Stage(ready, simulated, Happenings(simulated, reloaded))
        for step in sorted(stage.steps(), key=lambda each: each.at):  # those of the same moment stay in their order
            if not await _advance(simulated, ready.case.start + step.at, deadline):
                passed = format_duration(simulated.clock.now() - ready.case.start)
                return [
                    _broken(ready, f"the case is played within {MAX_SECONDS} s", f"{passed} of it; make it shorter")
                ]
            await step.act()
        return stage.failures


async def _advance(simulated: Simulation, moment: datetime, deadline: float) -> bool:
    """Let time pass until `moment`; return False if that takes too long."""
    while simulated.clock.now() < moment:
        await simulated.advance_to(min(moment, simulated.clock.now() + CHECKED_EVERY))
        if time.monotonic() > deadline:
            return False
    return True


def _broken(ready: ReadyCase, expected: str, got: str) -> Failure:
    """Return the failure of a case that could not be played."""
    return Failure(ready.place_of(), timedelta(), Difference((), expected, got), Observation((), (), (), {}, ()))


def with_freezes(inventory: Inventory, case: Case) -> Inventory:
    """Return the inventory with the freezes of the case beside its own."""
    stacks = dict(inventory.stacks)
    for number, freeze in enumerate(case.freezes, start=1):
        name = stack_of(freeze.stack, inventory)
        freezes = {**stacks[name].freezes, f"case_{number}": _settings_of(freeze, case)}
        stacks[name] = stacks[name].model_copy(update={"freezes": freezes})
    return inventory.model_copy(update={"stacks": stacks})


def _settings_of(freeze: Freeze, case: Case) -> FreezeSettings:
    span = {"from": case.start + freeze.since, "to": case.start + freeze.until}
    return FreezeSettings.model_validate({**span, "reason": freeze.reason})


class _Stage:
    """The steps of one case on its simulation, and the failures so far."""

    def __init__(self, ready: ReadyCase, simulated: Simulation, happenings: Happenings) -> None:
        self._ready = ready
        self._simulation = simulated
        self._happenings = happenings
        self.failures: list[Failure] = []

    def steps(self) -> Iterator[_Step]:
        """Yield all steps: at the same moment alerts come first, then events, and expectations at its end."""
        for alert in self._ready.case.alerts:
            yield from self._alert_steps(alert)
        for place, event in enumerate(self._ready.case.events):
            yield _Step(event.at, self._event(place))
            if (outage := event.outage) is not None:
                yield _Step(event.at + outage.span, partial(self._happenings.end, outage))
        for place, expectation in enumerate(self._ready.case.expect):
            yield _Step(expectation.at + END_OF_SECOND, self._expectation(place, expectation))

    def _alert_steps(self, alert: AlertSpan) -> Iterator[_Step]:
        alertmanager, labels = self._simulation.alertmanager, labels_of(alert, self._ready.inventory)

        async def fire() -> None:
            alertmanager.fire(labels)

        async def end() -> None:
            (alertmanager.resolve if alert.resolves else alertmanager.forget)(labels)

        yield _Step(alert.since, fire)
        if alert.until is not None:
            yield _Step(alert.until, end)

    def _event(self, place: int) -> Callable[[], Awaitable[None]]:
        event = self._ready.case.events[place]

        async def happen() -> None:
            try:
                await self._happenings.happen(place, event)
            except EventFailed as error:
                path = ("events", place, event.kind)
                await self._fail(event.at, path, Difference((), error.expected, error.got))

        return happen

    def _expectation(self, place: int, expectation: Expectation) -> Callable[[], Awaitable[None]]:
        async def compare() -> None:
            seen = await observe(self._simulation)
            for difference in differences(expectation, seen):
                await self._fail(expectation.at, ("expect", place), difference, seen)

        return compare

    async def _fail(
        self, at: timedelta, path: tuple[str | int, ...], difference: Difference, seen: Observation | None = None
    ) -> None:
        seen = seen or await observe(self._simulation)
        self.failures.append(Failure(self._ready.place_of(*path, *difference.path), at, difference, seen))
