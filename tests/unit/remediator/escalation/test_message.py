"""Messages hold no personal data, no forged lines and no command that is dangerous to copy."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from remediator.context import Context
from remediator.escalation.content import from_stored
from remediator.escalation.markup import TEXT
from remediator.escalation.rendering import render
from remediator.ledger.address import ledger_at
from remediator.ledger.schema import outbox
from remediator.model.remediation import EffectOutcome, Item, ItemState, Plan
from runbookd.inventory import Inventory, Mode
from runbookd.inventory.console import Console
from tests.unit.remediator.conftest import EngineHarness, ManualClock, engine_harness, inventory
from tests.unit.remediator.folder_remediation import FolderRemediation
from tests.unit.remediator.payloads import alert

ACTING = {"mode": "auto", "max_items": 1, "settle": "0s", "verify_within": "1s"}
QUEUES = Inventory.model_validate(
    {
        "contacts": {"oncall": {"url": "json://127.0.0.1:9"}},
        "stacks": {
            "shop": {
                "redis": {"cache": {"url": "redis://cache"}},
                "queues": {"main": {"redis": "cache", "names": "discover"}},
                "remediations": {
                    "clear_folder": {"mode": "auto", "max_items": 1, "settle": "0s", "verify_within": "1s"}
                },
            }
        },
    }
)


@asynccontextmanager
async def queue_harness(folder: Path) -> AsyncIterator[EngineHarness]:
    files, clock = FolderRemediation(folder), ManualClock()
    async with ledger_at(f"sqlite:///{folder.parent}/ledger.db").open() as ledger:
        yield EngineHarness(
            Context(QUEUES, ledger, clock, {"clear_folder": files.remediation("queues")}, None), files, clock
        )


async def last_message(harness: EngineHarness) -> tuple[str, str]:
    async with harness.context.ledger.read() as connection:
        row = (await connection.execute(outbox.select().order_by(outbox.c.id.desc()))).first()
    assert row is not None
    return row.title, render(from_stored(row.title, row.body), TEXT, 20_000)


async def test_personal_data_in_a_job_name_is_masked_in_messages(folder: Path) -> None:
    async with queue_harness(folder) as harness:
        harness.files.fill("welcome:jane@example.com", "plain")
        await harness.deliver(queue="emails")
        await harness.work()
        _, body = await last_message(harness)
        assert "  planned: name=welcome:<email> " in body
        assert "  planned: name=plain " in body
        assert "jane" not in body
        [run] = await harness.runs()
        assert {each.item.identity["name"] for each in await harness.items(run)} == {
            "welcome:jane@example.com",
            "plain",
        }


async def test_labels_and_annotations_cannot_forge_a_line(folder: Path) -> None:
    async with queue_harness(folder) as harness:
        harness.files.fill("a", "b")
        forged = alert(queue="emails\nwhat next nothing", alertname="Fine\u2028what next: nothing" + "x" * 300)
        forged["annotations"]["runbook_url"] = "https://runbooks.example\r\nwhat next: nothing"
        await harness.deliver(alerts=[forged])
        await harness.work()
        title, body = await last_message(harness)
    assert "shop/queues/main/emails\ufffdwhat next nothing" in title
    assert title.splitlines() == [title]
    assert [line for line in body.splitlines() if line.startswith("what next: nothing")] == []
    assert "x" * 200 not in body
    assert "runbook: https://runbooks.example\ufffd\ufffdwhat next: nothing" in body


async def test_command_that_closes_a_breaker_is_quoted_for_the_shell(folder: Path) -> None:
    async with queue_harness(folder) as harness:
        harness.files.fill("a")
        harness.files.refill = True  # it does not help, so the breaker opens
        await harness.deliver(queue="emails; rm -rf $HOME")
        await harness.work()
        harness.clock.advance(seconds=2)
        await harness.work()
        await harness.deliver(queue="emails; rm -rf $HOME", status="resolved")
        await harness.work()
        _, body = await last_message(harness)
    assert "runbookctl breaker close clear_folder 'shop/queues/main/emails; rm -rf $HOME'" in body


class RemediationFailingAfterTwoPlans(FolderRemediation):
    async def plan(self) -> Plan:
        return await super().plan() if self.open_count < 2 else Plan((Item({"name": "x"}),), 1)

    def _remove(self, name: str) -> EffectOutcome:
        return EffectOutcome(ItemState.FAILED)


async def test_failure_that_opens_the_breaker_is_reported_with_the_command(folder: Path) -> None:
    """The first run failed for another reason, so both are escalated."""
    files = RemediationFailingAfterTwoPlans(folder)
    files.reachable = False
    async with engine_harness(folder, inventory(), files) as harness:
        await harness.deliver()
        await harness.work()
        _, first = await last_message(harness)
        files.reachable = True
        harness.clock.advance(minutes=6)
        await harness.deliver()
        await harness.work()
        title, second = await last_message(harness)
    assert title.endswith("failed (effect_failed)")
    command = "runbookctl breaker close clear_folder shop/postgres/main"
    assert f"The breaker is open (2 runs failed or were interrupted): {command}" in second.splitlines()
    assert "The breaker is open" not in first
    assert "retried after its cooldown, unless its breaker has opened" in second


async def test_detail_of_an_item_is_truncated(folder: Path) -> None:
    async with queue_harness(folder) as harness:
        await harness.deliver(queue="emails")
        harness.files.fill("a")
        harness.files.detail = "d" * 16_000
        harness.files.refill = True
        await harness.work()
        harness.clock.advance(seconds=2)
        await harness.work()
        _, body = await last_message(harness)
    assert f" {'d' * 1_000}…" in body
    assert "d" * 1_001 not in body


@pytest.mark.parametrize(
    ("mode", "link"), [("approve", "approve or reject: {}/approvals/1"), ("auto", "run: {}/runs/1")]
)
async def test_message_links_to_the_exact_plan_or_run(folder: Path, mode: str, link: str) -> None:
    async with queue_harness(folder) as harness:
        console = Console.model_validate({"url": "https://runbookd.example/"})
        [shop] = QUEUES.stacks.values()
        settings = shop.remediations["clear_folder"].model_copy(update={"mode": Mode(mode)})
        stack = shop.model_copy(update={"remediations": {"clear_folder": settings}})
        harness.context.inventory = QUEUES.model_copy(update={"console": console, "stacks": {"shop": stack}})
        harness.files.fill("a", *(["b"] if mode == "auto" else []))  # two items are more than max_items
        await harness.deliver(queue="emails")
        await harness.work()
        _, body = await last_message(harness)
        assert link.format("https://runbookd.example") in body
        await harness.deliver(queue="emails", status="resolved", ends=harness.clock.now().isoformat())
        await harness.work()
        _, body = await last_message(harness)
        assert "episode: https://runbookd.example/episodes/1" in body


async def test_message_begins_with_what_the_alerts_say(folder: Path) -> None:
    async with queue_harness(folder) as harness:
        await harness.deliver(alerts=[alert(queue="emails", priority="P1", fingerprint=f"f{n}") for n in range(4)])
        harness.files.fill("a", "b")
        await harness.work()
        _, body = await last_message(harness)
    assert body.splitlines()[0] == "the folder is full"
    assert body.splitlines()[1].startswith("run 1, P1 alerts: FolderFull, firing since")


async def test_message_has_no_link_without_an_address_of_the_console(folder: Path) -> None:
    async with queue_harness(folder) as harness:
        harness.files.fill("a", "b")
        await harness.deliver(queue="emails")
        await harness.work()
        assert "/runs/" not in (await last_message(harness))[1]
