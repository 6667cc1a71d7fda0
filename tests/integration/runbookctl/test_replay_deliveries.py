"""What a live shadow remediator has decided, and what `replay` makes of the deliveries of its ledger, is the same."""

import asyncio
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from remediator.context import Context
from remediator.engine.engine import Engine
from remediator.ledger.run_list import list_runs
from remediator.ledger.runs import Run
from remediator.ledger.sqlite.store import SqliteLedger
from remediator.model.remediation import DeclaredBound, Item
from remediator.remediations import REMEDIATIONS
from remediator.simulation.targets import Effect, Reading, simulated
from runbookctl.main import app
from runbookctl.replay.command import read_deliveries
from runbookctl.replay.moments import Period
from runbookctl.replay.play import play
from runbookctl.replay.sizes import PastTargets
from runbookd.inventory import Inventory
from tests.ledgers import LedgerDatabases
from tests.unit.remediator.payloads import delivery

SPAN = timedelta(minutes=30)
TICK = timedelta(seconds=5)
# A whole minute: both look every 10 s for what has vanished, at other seconds. So a seed passes always, or never.
START = (datetime.now(UTC) - timedelta(hours=2)).replace(second=0, microsecond=0)
TARGETS = ("db0", "db1", "db2", "db3", "none")  # of which the inventory lacks the last one


@dataclass
class LiveClock:
    """The clock of the live remediator, which the test moves."""

    at: datetime = START

    def now(self) -> datetime:
        return self.at


class LiveTargets:
    """Targets whose sizes change every few minutes; some do not answer for a while."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def read(self, remediation: str, target: str, at: datetime) -> Reading:
        minutes = (at - START) // timedelta(minutes=4)
        found = random.Random(f"{self._seed}/{target}/{minutes}").choice([0, 1, 4, 7, None])  # noqa: S311
        return Reading(error="no answer") if found is None else Reading(found=found, population=12, listed=found)

    def effect(self, remediation: str, target: str, items: Sequence[Item], at: datetime) -> Effect:
        raise AssertionError("a shadow remediator touches nothing")

    def surroundings(self, stack: str, at: datetime) -> dict[DeclaredBound, Sequence[str]]:
        return {}


def shadow_inventory() -> Inventory:
    return Inventory.model_validate(_shadow_document())


def _shadow_document() -> dict[str, Any]:
    settings = {"mode": "shadow", "max_items": 5, "max_share": 0.5, "cooldown": "3m", "min_firing": "2m"}
    stack = {
        "runbook_url": "https://runbooks.example/shop",
        "postgres": {name: {"dsn": "postgresql://db/shop"} for name in TARGETS[:-1]},
        "remediations": {"terminate_idle_transactions": settings, "cancel_long_queries": {"mode": "off"}},
    }
    limits = {"storm": {"targets": 3, "within": "2m", "cooldown": "5m"}, "max_alert_age": "4m"}
    alertmanager = {"url": "http://127.0.0.1:1", "repeat_interval": "2m"}  # what is not confirmed vanishes soon
    return {"stacks": {"shop": stack}, "limits": limits, "alertmanager": alertmanager}


async def live_shadow(file: Path, seed: int, span: timedelta = SPAN) -> list[Run]:
    """Run the engine on a ledger in a file, round by round, while alerts fire, repeat, end, and come late or twice."""
    generator, clock = random.Random(seed), LiveClock()  # noqa: S311
    targets, since = LiveTargets(seed), {}
    async with SqliteLedger(f"sqlite:///{file}").open() as ledger:
        remediations = simulated(REMEDIATIONS, targets, clock)
        engine = Engine(Context(shadow_inventory(), ledger, clock, remediations, None, simulated=targets))
        while clock.at < START + span:
            clock.at += TICK - timedelta(seconds=1)
            if generator.random() < 0.2:
                await ledger.accept(clock.now(), _random_delivery(generator, clock.at, since))
            clock.at += timedelta(seconds=1)
            engine.housekeeping.next_vanished_check = 0.0 if int(clock.at.timestamp()) % 10 < 5 else 1e12
            await engine.tick()
            await engine.wait_for_runs()
        async with ledger.read() as connection:
            runs = list(reversed((await list_runs(connection, limit=1_000)).runs))
        await _export(file)
    return runs


def _random_delivery(generator: random.Random, now: datetime, since: dict[str, datetime]) -> bytes:
    target, name = (
        generator.choice(TARGETS),
        generator.choice(["terminate_idle_transactions"] * 4 + ["cancel_long_queries"]),
    )
    fires = target not in since or generator.random() < 0.6
    started = since.setdefault(target, now)
    alert: dict[str, Any] = {"target": target, "remediation": name, "fingerprint": f"{target}/{name}"}
    if fires:
        return delivery(starts=started.isoformat(), **alert)
    del since[target]
    return delivery(status="resolved", starts=started.isoformat(), ends=now.isoformat(), **alert)


async def _export(file: Path) -> None:
    command = ["ledger", "export", f"sqlite:///{file}", str(file.with_suffix(".jsonl")), "--since", "1d"]
    result = await asyncio.to_thread(CliRunner().invoke, app, command)
    assert result.exit_code == 0, (result.output, result.exception)


@pytest.mark.parametrize("seed", [0, 2])  # in 1, a delivery comes between the looks of both
async def test_replay_of_a_ledger_decides_as_the_live_remediator_did(tmp_path: Path, seed: int) -> None:
    live = await live_shadow(tmp_path / "ledger.db", seed)
    period = Period(START, START + SPAN, timedelta(seconds=15))
    past = read_deliveries(tmp_path / "ledger.jsonl", period)
    replayed = await asyncio.to_thread(play, shadow_inventory(), past.history, PastTargets(past.sizes))
    assert _decisions(replayed.runs) == _decisions(live)
    assert {run.state for run in live} >= {"shadow", "refused"}
    assert len(live) > 12


def _decisions(runs: Sequence[Run]) -> list[tuple[str, str, str, str, int | None]]:
    """Return what was decided of each target, in the order of its runs."""
    in_order = sorted(runs, key=lambda run: (run.remediation, run.target, run.created_at))
    return [(run.remediation, run.target, str(run.state), run.reason, run.found) for run in in_order]


def test_an_export_from_postgresql_gives_the_same_replay(tmp_path: Path, ledger_databases: LedgerDatabases) -> None:
    asyncio.run(live_shadow(tmp_path / "ledger.db", 3, timedelta(minutes=8)))
    database = ledger_databases.add()
    try:
        owner = _address_file(tmp_path / "owner", ledger_databases.url(database, "runbookd_owner"))
        _run("ledger", "copy", f"sqlite:///{tmp_path}/ledger.db", owner)
        reader = _address_file(tmp_path / "reader", ledger_databases.url(database, "runbookd_writer"))
        _run("ledger", "export", reader, str(tmp_path / "postgresql.jsonl"), "--since", "1d")
    finally:
        ledger_databases.server.drop_database(database)
    of_sqlite, of_postgresql = (_report(tmp_path / f"{name}.jsonl") for name in ("ledger", "postgresql"))
    assert of_postgresql == of_sqlite
    assert any("recorded" in each["sizes"] for each in of_sqlite["present"]["remediations"])


def _address_file(file: Path, url: str) -> str:
    file.write_text(url, encoding="utf-8")
    return str(file)


def _report(export: Path) -> Any:
    inventory = export.with_name("inventory.yml")
    inventory.write_text(json.dumps(_shadow_document()), encoding="utf-8")
    period = ["--since", "1h", "--until", (START + timedelta(minutes=8)).isoformat()]
    options = ["--deliveries", str(export), "--config.file", str(inventory), *period, "--output", "json"]
    report = json.loads(_run("replay", *options))
    assert report["source"].pop("what") == str(export)
    return report


def _run(*command: str) -> str:
    result = CliRunner().invoke(app, list(command))
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout
