"""A yes over HTTP: the answer shows what it covers, and exactly that is touched."""

import asyncio
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

ONCALL = {"Authorization": "Bearer oncall-token"}


async def until(client: TestClient[Any, Any], state: str) -> Any:
    for _ in range(100):
        runs = (await (await client.get("/api/v1/runs", headers=ONCALL)).json())["runs"]
        if runs and runs[0]["state"] == state:
            return runs[0]
        await asyncio.sleep(0.1)
    raise AssertionError(f"no run became {state}: {runs}")


async def test_a_yes_covers_what_its_answer_lists(folder: Path, tmp_path: Path) -> None:
    token = tmp_path / "oncall"
    token.write_text("oncall-token")
    shelf = FolderRemediation(folder)
    shelf.fill("a", "b")
    what = inventory(mode="approve").model_copy(update={"operators": {"oncall": Operator(token_file=token)}})
    ledger = ledger_at(f"sqlite:///{tmp_path}/ledger.db")
    context = Context(what, ledger, SystemClock(), {"clear_shelf": shelf.remediation()}, None)
    async with TestClient(TestServer(create_application(context, BearerTokens({}, "")))) as client:
        await client.post("/webhook", data=delivery(starts=datetime.now(UTC).isoformat()))
        run = await until(client, "awaiting_approval")
        answer = await (await client.post(f"/api/v1/runs/{run['id']}/approve", headers=ONCALL)).json()
        assert [item["identity"] for item in answer["items"]] == [{"name": "a"}, {"name": "b"}]
        assert (await client.post(f"/api/v1/runs/{run['id']}/approve", headers=ONCALL)).status == 409
        await until(client, "succeeded")
    assert shelf.touched == ["a", "b"]
