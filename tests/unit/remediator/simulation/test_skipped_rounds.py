"""A simulation skips the rounds in which the engine would find no work: decisions are as with a round per second."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from remediator.model.remediation import DeclaredBound, Item
from remediator.simulation import simulation as entry
from remediator.simulation.simulation import Simulation, simulation
from remediator.simulation.targets import Effect, Reading
from remediator.simulation.virtual_time import run_virtually
from runbookd.inventory import Inventory
from tests.unit.remediator.simulation.conftest import START

SPAN = timedelta(minutes=16)
MODES = ("auto", "approve", "shadow")
Decisions = list[tuple[str, str, str, str, float]]


class RandomTargets:
    """Targets whose sizes depend on their name and the minute, and whose effects sometimes fail."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def read(self, remediation: str, target: str, at: datetime) -> Reading:
        found = self._random(remediation, target, at).choice([0, 1, 2, 3, 9])
        return Reading(found=found, population=20, listed=1)

    def effect(self, remediation: str, target: str, items: Sequence[Item], at: datetime) -> Effect:
        return Effect(is_clean=self._random(remediation, target, at).random() < 0.9)

    def surroundings(self, stack: str, at: datetime) -> dict[DeclaredBound, Sequence[str]]:
        return {}

    def _random(self, remediation: str, target: str, at: datetime) -> random.Random:
        return random.Random(f"{self._seed}/{remediation}/{target}/{(at - START) // timedelta(minutes=3)}")  # noqa: S311


def random_inventory(generator: random.Random) -> Inventory:
    settings = {
        "mode": generator.choice(MODES),
        "max_items": 5,
        "cooldown": generator.choice(["40s", "7m"]),
        "min_firing": generator.choice(["0s", "7m"]),
        "max_runs_per_hour": generator.choice([2, 5]),
        "approve_within": "2m",
    }
    stack = {
        "runbook_url": "https://runbooks.example/shop",
        "postgres": {f"db{number}": {"dsn": "postgresql://db/shop"} for number in range(5)},
        "windows": {"soon": {"days": ["sun"], "from": "12:04", "to": "13:00"}},
        "remediations": {
            "terminate_idle_transactions": settings,
            "cancel_long_queries": {"mode": "auto", "only_in": "soon", "cooldown": "20s"},
        },
    }
    limits = {"storm": {"targets": 3, "within": "20s", "cooldown": "40s"}}
    return Inventory.model_validate({"stacks": {"shop": stack}, "limits": limits})


async def play_randomly(simulated: Simulation, generator: random.Random) -> None:
    """Let alerts of several targets, one of them unknown, fire and end at odd moments; some runs are approved."""
    end = START + SPAN
    while simulated.clock.now() < end:
        name = generator.choice(["terminate_idle_transactions", "cancel_long_queries"])
        target = generator.choice(["db0", "db1", "db2", "db3", "db4", "none"])
        labels = {"alertname": "Random", "stack": "shop", "target": target, "remediation": name}
        (simulated.alertmanager.fire if generator.random() < 0.6 else simulated.alertmanager.resolve)(labels)
        await simulated.advance(timedelta(seconds=generator.choice([1.3, 7.7, 15.1, 54.9])))
        for run in await simulated.runs():
            if run.state == "awaiting_approval" and run.approved_by is None and generator.random() < 0.2:
                await simulated.approve(run.id)


async def _simulate(seed: int) -> Decisions:
    generator = random.Random(seed)  # noqa: S311
    inventory = random_inventory(generator)
    async with simulation(inventory, RandomTargets(seed), START, with_messages=False) as simulated:
        await play_randomly(simulated, generator)
        return [
            (run.remediation, run.target, str(run.state), run.reason, _minutes(run.created_at))
            for run in await simulated.runs()
        ]


def _minutes(moment: datetime) -> float:
    """Return the time since the start; a round per second delays a decision by at most two seconds."""
    return (moment - START).total_seconds()


@pytest.mark.parametrize("seed", range(2))
def test_skipped_rounds_change_no_decision(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    skipping = run_virtually(_simulate(seed))

    async def every_second(*_: Any, **__: Any) -> float:
        return 1.0

    monkeypatch.setattr(entry, "seconds_until_work", every_second)
    live = run_virtually(_simulate(seed))
    assert [each[:4] for each in skipping] == [each[:4] for each in live]
    assert all(abs(one[4] - other[4]) <= 2 for one, other in zip(skipping, live, strict=True))
    assert len(live) > 5
