"""What a remediator needs to start, and what it refuses."""

from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from remediator.app import build
from remediator.settings import LedgerSettings, WebhookSettings
from runbookd.service import UnusableConfiguration
from tests.unit.remediator.payloads import delivery
from tests.unit.remediator.server.served import HOOK, settings, stacks


async def test_remediator_without_an_inventory_starts_and_is_not_ready(tmp_path: Path) -> None:
    async with TestClient(TestServer(build(settings(tmp_path), None))) as client:
        assert (await client.get("/-/healthy")).status == 200
        ready = await client.get("/-/ready")
        assert (ready.status, await ready.text()) == (
            503,
            "no inventory: give one with --config.file (RUNBOOK_CONFIG_FILE)\n",
        )
        assert (await client.post("/webhook", data=delivery(), headers=HOOK)).status == 503


def test_webhook_off_loopback_requires_a_token_file(tmp_path: Path) -> None:
    open_to_all = settings(tmp_path, listen_address=":9851").model_copy(update={"webhook": WebhookSettings()})
    with pytest.raises(UnusableConfiguration, match=r"set --webhook\.token-file"):
        build(open_to_all, stacks(tmp_path))


def test_an_empty_token_file_is_refused(tmp_path: Path) -> None:
    remediator_settings = settings(tmp_path)
    (tmp_path / "hook").write_text("\n")
    with pytest.raises(UnusableConfiguration, match="is empty"):
        build(remediator_settings, stacks(tmp_path))


@pytest.mark.parametrize(
    ("remediations", "reason"),
    [
        ({"terminate_idle_transaction": {}}, "did you mean 'terminate_idle_transactions'"),
        ({"run_backup": {"protect": {"roles": ["app"]}}}, "has no effect on run_backup"),
        ({"run_backup": {"block_on": ["Failover"]}}, "needs alertmanager.url"),
    ],
)
def test_unusable_remediation_settings_are_refused(tmp_path: Path, remediations: Any, reason: str) -> None:
    stacks_with_fault = stacks(tmp_path, stacks={"shop": {"remediations": remediations}})
    with pytest.raises(UnusableConfiguration, match=reason):
        build(settings(tmp_path), stacks_with_fault)


async def test_a_second_remediator_on_the_same_ledger_does_not_start(tmp_path: Path) -> None:
    async with TestClient(TestServer(build(settings(tmp_path), stacks(tmp_path)))):
        second = TestServer(build(settings(tmp_path), stacks(tmp_path)))
        with pytest.raises(UnusableConfiguration, match="another remediator has the ledger"):
            await second.start_server()


def test_unknown_ledger_url_is_refused(tmp_path: Path) -> None:
    remediator_settings = settings(tmp_path).model_copy(update={"ledger": LedgerSettings(url="oracle://x")})
    with pytest.raises(UnusableConfiguration, match=r"--ledger\.url"):
        build(remediator_settings, stacks(tmp_path))


@pytest.mark.parametrize("address", ["sqlite://", "sqlite:///:memory:", "mysql://127.0.0.1/ledger"])
def test_ledger_url_that_is_not_a_file_is_refused(tmp_path: Path, address: str) -> None:
    remediator_settings = settings(tmp_path).model_copy(update={"ledger": LedgerSettings(url=address)})
    with pytest.raises(UnusableConfiguration, match="a file"):
        build(remediator_settings, stacks(tmp_path))


async def test_symbolic_link_to_a_ledger_shares_its_lock(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "ledger.db")
    linked = settings(tmp_path).model_copy(update={"ledger": LedgerSettings(url=f"sqlite:///{tmp_path}/link.db")})
    async with TestClient(TestServer(build(settings(tmp_path), stacks(tmp_path)))):
        second = TestServer(build(linked, stacks(tmp_path)))
        with pytest.raises(UnusableConfiguration, match="another remediator has the ledger"):
            await second.start_server()
