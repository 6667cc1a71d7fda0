"""Approval over HTTP: the response lists the items, and exactly those are touched."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from remediator.app import create_application
from remediator.context import Context
from remediator.ledger.address import ledger_at
from remediator.model.clock import SystemClock
from remediator.server.bearer_tokens import BearerTokens
from runbookd.inventory.model import Operator
from tests.unit.remediator.conftest import inventory
from tests.unit.remediator.folder_remediation import FolderRemediation
from tests.unit.remediator.payloads import delivery
from tests.unit.remediator.polling import becomes

ONCALL = {"Authorization": "Bearer oncall-token"}


async def wait_for_run(client: TestClient[Any, Any], state: str) -> Any:
    async def newest_run() -> Any:
        return (await (await client.get("/api/v1/runs?limit=1", headers=ONCALL)).json())["runs"]

    async def states() -> list[str]:
        return [run["state"] for run in await newest_run()]

    await becomes(states, [state])
    return (await newest_run())[0]


async def test_approval_covers_the_items_in_its_response(folder: Path, tmp_path: Path) -> None:
    token = tmp_path / "oncall"
    token.write_text("oncall-token")
    files = FolderRemediation(folder)
    files.fill("a", "b")
    stacks = inventory(mode="approve").model_copy(update={"operators": {"oncall": Operator(token_file=token)}})
    ledger = ledger_at(f"sqlite:///{tmp_path}/ledger.db")
    context = Context(stacks, ledger, SystemClock(), {"clear_folder": files.remediation()}, None)
    async with TestClient(TestServer(create_application(context, BearerTokens({}, "")))) as client:
        await client.post("/webhook", data=delivery(starts=datetime.now(UTC).isoformat()))
        run = await wait_for_run(client, "awaiting_approval")
        answer = await (await client.post(f"/api/v1/runs/{run['id']}/approve", headers=ONCALL)).json()
        assert [item["identity"] for item in answer["items"]] == [{"name": "a"}, {"name": "b"}]
        assert (await client.post(f"/api/v1/runs/{run['id']}/approve", headers=ONCALL)).status == 409
        await wait_for_run(client, "succeeded")
    assert files.touched == ["a", "b"]
