"""The pauses of operators, and the pause file."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from remediator.app import build
from remediator.settings import PauseSettings
from tests.unit.remediator.server.served import ONCALL, ApiTestClient, settings, stacks


async def test_pause_survives_a_restart_until_it_is_ended(tmp_path: Path) -> None:
    async with TestClient(TestServer(build(settings(tmp_path), stacks(tmp_path)))) as client:
        assert (
            await client.post("/api/v1/pause", json={"reason": "deploy", "for": "2h"}, headers=ONCALL)
        ).status == 200
    async with TestClient(TestServer(build(settings(tmp_path), stacks(tmp_path)))) as client:
        pauses = (await (await client.get("/api/v1/pause", headers=ONCALL)).json())["pauses"]
        assert [(pause["reason"], pause["begun_by"]) for pause in pauses] == [("deploy", "oncall")]
        assert 'remediation_paused{stack="shop"} 1.0' in await (await client.get("/metrics")).text()
        ended = await client.delete("/api/v1/pause", params={"reason": "deploy is over"}, headers=ONCALL)
        assert await ended.json() == {"ended": 1}
        assert (await (await client.get("/api/v1/pause", headers=ONCALL)).json()) == {"pauses": []}
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as ledger:
        rows = ledger.execute("SELECT detail FROM audit WHERE event = 'resumed'").fetchall()
    assert [json.loads(detail)["reason"] for (detail,) in rows] == ["deploy is over"]


async def test_a_reason_to_resume_that_is_too_long_is_refused(client: ApiTestClient) -> None:
    answer = await client.delete("/api/v1/pause", params={"reason": "x" * 501}, headers=ONCALL)
    assert (answer.status, "at most 500" in await answer.text()) == (400, True)


@pytest.mark.parametrize("query", ["?stak=shop", "?stack=shop&stack=shop", "?stack=sh%00op", "?stack="])
async def test_end_of_a_pause_that_is_in_doubt_ends_none(client: ApiTestClient, query: str) -> None:
    await client.post("/api/v1/pause", json={"reason": "x"}, headers=ONCALL)
    answer = await client.delete(f"/api/v1/pause{query}", headers=ONCALL)
    assert answer.status == 400, await answer.text()
    assert len((await (await client.get("/api/v1/pause", headers=ONCALL)).json())["pauses"]) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"reason": ""}',
        b'{"reason": "a\\u0000"}',
        b'{"reason": "x", "for": "soon"}',
        b'{"reason": "x", "stack": "nobody"}',
    ],
)
async def test_malformed_pause_is_refused(client: ApiTestClient, body: bytes) -> None:
    answer = await client.post("/api/v1/pause", data=body, headers=ONCALL)
    assert answer.status == 400
    assert await answer.text()


@pytest.mark.parametrize("span", ["0s", "9999999d"])
async def test_pause_without_a_usable_duration_is_refused(client: ApiTestClient, span: str) -> None:
    answer = await client.post("/api/v1/pause", json={"reason": "x", "for": span}, headers=ONCALL)
    assert answer.status == 400
    assert (await answer.json())["error"].startswith("for: ")


async def test_pause_file_of_the_flag_pauses(tmp_path: Path) -> None:
    (tmp_path / "paused").touch()
    remediator_settings = settings(tmp_path).model_copy(update={"pause": PauseSettings(file=tmp_path / "paused")})
    async with TestClient(TestServer(build(remediator_settings, stacks(tmp_path)))) as client:
        assert 'remediation_paused{stack="shop"} 1.0' in await (await client.get("/metrics")).text()
