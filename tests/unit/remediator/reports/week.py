"""A week with a bit of everything, played by the real engine, for the tests of its report."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from remediator.escalation.acknowledge import acknowledge
from remediator.ledger import deploys, duties, switches
from remediator.ledger.duties import Completion
from remediator.reports.document import Document
from remediator.reports.period import PeriodReport
from remediator.reports.period_document import document_of
from remediator.reports.period_reading import read_report
from remediator.runs.approval import approve
from runbookd.inventory import Inventory
from tests.unit.remediator.conftest import EngineHarness, engine_harness

HOSTILE = "<img src=x onerror=alert(1)>|**x**[y](javascript:1)\u202e"


def stack(mode: str) -> dict[str, Any]:
    settings = {"mode": mode, "settle": "0s", "verify_within": "1m", "cooldown": "0s", "max_items": 5}
    targets = {name: {"dsn": f"postgresql://db/{name}"} for name in ("main", "spare")}
    return {"postgres": targets, "remediations": {"clear_folder": settings}}


def inventory(**more: Any) -> Inventory:
    stacks = {"shop": stack("auto"), "billing": stack("approve"), "search": stack("shadow")}
    return Inventory.model_validate({"stacks": stacks, "limits": {"storm": {"targets": 50}}, **more})


@asynccontextmanager
async def playing(folder: Path, **more: Any) -> AsyncIterator["Week"]:
    async with engine_harness(folder, inventory(**more)) as harness:
        yield Week(harness)


class Week:
    """The engine, and the acts of a week."""

    def __init__(self, harness: EngineHarness) -> None:
        self.harness = harness
        self.clock = harness.clock
        self.context = harness.context

    async def report(
        self, since: timedelta = timedelta(days=7), stack: str | None = None, until: datetime | None = None
    ) -> PeriodReport:
        async with self.context.ledger.read() as connection:
            return await read_report(connection, self.context, since, stack, until)

    async def document(self) -> Document:
        return document_of(await self.report())

    async def fire(self, files: int = 1, **labels: str) -> None:
        """Let an alert that began a minute ago be delivered while this number of files lies around."""
        self._empty()
        self.harness.files.fill(*(f"file-{number}" for number in range(files)))
        await self._deliver("firing", **labels)

    async def resolve(self, **labels: str) -> None:
        await self._deliver("resolved", ends=f"{self.clock.now():%Y-%m-%dT%H:%M:%SZ}", **labels)

    async def pass_by(self, minutes: float, **labels: str) -> None:
        """Let an alert go by itself after this time."""
        await self.fire(1, **labels)
        self.clock.advance(minutes=minutes)
        await self.resolve(**labels)

    def set(self, name: str, **settings: Any) -> None:
        """Change settings of a stack's remediation, as a reload does."""
        stacks = {**self.context.inventory.stacks}
        changed = stacks[name].remediations["clear_folder"].model_copy(update=settings)
        stacks[name] = stacks[name].model_copy(update={"remediations": {"clear_folder": changed}})
        self.context.inventory = self.context.inventory.model_copy(update={"stacks": stacks})

    async def play(self) -> None:
        """Play the week."""
        await self._fix_one()
        await self._ask_an_operator()
        await self._refuse_one()
        for minutes in (2, 3, 4, 5, 6, 30):
            await self.pass_by(minutes, stack="search")
            self.clock.advance(hours=1)
        await self.fire(stack=HOSTILE, target=HOSTILE)
        await self._run_by_hand()
        self.clock.advance(hours=1)
        await self.fire(stack="search", target="spare")
        self.clock.advance(minutes=1)

    async def _fix_one(self) -> None:
        for files in (2, 1, 1):
            await self.fire(files)
            self.clock.advance(minutes=1)
            await self.resolve()
            self.clock.advance(hours=2)

    async def _ask_an_operator(self) -> None:
        await self.fire(3, stack="billing")
        self.clock.advance(minutes=8)
        [asking] = [each for each in await self.harness.runs() if each.state == "awaiting_approval"]
        await approve(self.context, asking.id, "oncall")
        await self.harness.work()
        await self.resolve(stack="billing")

    async def _refuse_one(self) -> None:
        await self.fire(9, target="spare")
        self.clock.advance(minutes=2)
        [episode] = {each.episode for each in await self.harness.runs() if each.state == "refused"}
        await acknowledge(self.context, episode, "dba", "looking at | <the> disk", None)
        self.clock.advance(minutes=30)
        await self.resolve(target="spare")

    async def _run_by_hand(self) -> None:
        async with self.context.ledger.write() as connection:
            now = self.clock.now()
            await deploys.begin(connection, now, "release", "shop", "v1.4")
            await switches.pause_now(connection, now, "dba", "a restore", "shop", None)
            await duties.record(connection, "billing", "restore_drill", Completion(now, "dba", "12 min"), now)
        self.clock.advance(minutes=10)
        async with self.context.ledger.write() as connection:
            await switches.resume(connection, self.clock.now(), "dba", "shop")

    async def _deliver(self, status: str, ends: str = "0001-01-01T00:00:00Z", **labels: str) -> None:
        starts = self._starts(status, labels)
        fingerprint = f"{sorted(labels.items())}"[:80]
        await self.harness.deliver(status=status, starts=starts, ends=ends, fingerprint=fingerprint, **labels)
        await self.harness.work()

    def _starts(self, status: str, labels: dict[str, str]) -> str:
        began = self.clock.now() - timedelta(minutes=1)
        self._began = getattr(self, "_began", {})
        if status == "firing":
            self._began[str(sorted(labels.items()))] = began
        return f"{self._began[str(sorted(labels.items()))]:%Y-%m-%dT%H:%M:%SZ}"

    def _empty(self) -> None:
        for name in self.harness.files.names():
            (self.harness.files.folder / name).unlink()
