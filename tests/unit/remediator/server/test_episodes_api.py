"""`/api/v1/episodes`: the list, the acknowledgement, its refusals and its metrics."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from remediator.app import build
from tests.inventory_data import data_of
from tests.unit.remediator.payloads import alert, delivery
from tests.unit.remediator.polling import becomes
from tests.unit.remediator.server.served import HOOK, ApiTestClient, settings, stacks

ROLES = {"oncall": "operator", "dba": "operator", "viewer": "viewer", "ci": "reporter"}
LABELS = {"remediation": "collect_diagnostics", "priority": "P0"}
SINCE = "remediation_unacknowledged_since_timestamp_seconds{"


def token(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {name}-token"}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[ApiTestClient]:
    operators: dict[str, Any] = {}
    for name, role in ROLES.items():
        (tmp_path / name).write_text(f"{name}-token\n")
        operators[name] = {"token_file": tmp_path / name, "role": role}
    inventory = stacks(tmp_path).model_validate({**data_of(stacks(tmp_path)), "operators": operators})
    async with TestClient(TestServer(build(settings(tmp_path), inventory))) as client:
        alerts = [alert(fingerprint=name, alertname=name, **LABELS) for name in ("DatabaseDown", "ApiDown")]
        await client.post("/webhook", data=delivery(alerts), headers=HOOK)

        async def open_episodes() -> int:
            return len((await listed(client, state="open"))["episodes"])

        await becomes(open_episodes, 2)
        yield client


async def listed(client: ApiTestClient, **query: str) -> Any:
    return await (await client.get("/api/v1/episodes", params=query, headers=token("viewer"))).json()


async def acknowledge(client: ApiTestClient, episode: Any, name: str = "oncall", **body: Any) -> tuple[int, Any]:
    path = f"/api/v1/episodes/{episode}/acknowledge"
    answer = await client.post(path, json=body, headers=token(name))
    return answer.status, await answer.json()


async def test_episodes_are_listed_with_what_fires_and_since_when_they_wait(client: ApiTestClient) -> None:
    newest, oldest = (await listed(client))["episodes"]
    assert (oldest["alerts"], oldest["target"]) == (["DatabaseDown"], "shop/alerts/DatabaseDown")
    assert (newest["priority"], newest["acknowledged"], newest["ended_at"]) == ("P0", None, None)
    assert newest["waiting_since"] is not None
    page = await listed(client, limit="1")
    assert [each["id"] for each in page["episodes"]] == [newest["id"]]
    page = await listed(client, limit="1", before=str(page["next"]))
    assert ([each["id"] for each in page["episodes"]], page["next"]) == ([oldest["id"]], None)
    assert await listed(client, stack="shp") == {"error": "the inventory has no stack 'shp'; did you mean 'shop'?"}
    assert (await listed(client, state="ended"))["episodes"] == []


async def test_acknowledgement_is_shown_and_ends_the_waiting(client: ApiTestClient) -> None:
    assert await metric(client, SINCE) == 2
    status, answer = await acknowledge(client, 1, note="on it", **{"for": "2h"})
    assert (status, answer["by"], answer["note"], answer["until"] > answer["at"]) == (200, "oncall", "on it", True)
    answer = await client.get("/api/v1/episodes/1", headers=token("viewer"))
    episode = await answer.json()
    assert (episode["acknowledged"]["by"], episode["waiting_since"]) == ("oncall", None)
    assert await metric(client, SINCE) == 1
    page = await (await client.get("/metrics")).text()
    assert 'remediation_acknowledge_seconds_bucket{le="300.0",priority="P0",stack="shop"} 1.0' in page
    assert 'remediation_acknowledge_seconds_count{priority="P0",stack="shop"} 1.0' in page


async def metric(client: ApiTestClient, prefix: str) -> int:
    page = await (await client.get("/metrics")).text()
    return sum(line.startswith(prefix) for line in page.splitlines())


async def test_two_operators_at_once_get_one_yes_and_one_name(client: ApiTestClient) -> None:
    answers = await asyncio.gather(*(acknowledge(client, 1, name) for name in ("oncall", "dba")))
    statuses = sorted(status for status, _ in answers)
    assert statuses == [200, 409]
    [winner] = [body["by"] for status, body in answers if status == 200]
    [loser] = [body["error"] for status, body in answers if status == 409]
    assert f"episode 1 was acknowledged by {winner}" in loser


@pytest.mark.parametrize(("name", "status"), [("viewer", 403), ("ci", 403), ("nobody", 403), ("dba", 200)])
async def test_only_an_operator_acknowledges(client: ApiTestClient, name: str, status: int) -> None:
    assert (await acknowledge(client, 1, name))[0] == status


@pytest.mark.parametrize(
    ("episode", "body", "status"),
    [
        ("99", {}, 404),
        ("x", {}, 404),
        ("9" * 30, {}, 404),
        ("1", {"note": "x" * 501}, 400),
        ("1", {"for": "0s"}, 400),
        ("1", {"for": "32d"}, 400),
        ("1", {"for": "soon"}, 400),
        ("1", {"span": "1h"}, 400),
        ("1", {"until": "2026-01-01"}, 400),
    ],
)
async def test_unusable_request_is_refused(client: ApiTestClient, episode: str, body: Any, status: int) -> None:
    answered, answer = await acknowledge(client, episode, **body)
    assert (answered, "error" in answer) == (status, True)
    assert await metric(client, SINCE) == 2


async def test_request_without_a_body_acknowledges(client: ApiTestClient) -> None:
    assert (await client.post("/api/v1/episodes/1/acknowledge", headers=token("oncall"))).status == 200


async def test_unknown_state_in_the_query_is_refused(client: ApiTestClient) -> None:
    assert (await client.get("/api/v1/episodes?state=new", headers=token("viewer"))).status == 400
