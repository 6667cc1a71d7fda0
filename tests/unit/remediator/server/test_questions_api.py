"""Questions over HTTP: the answers, the errors and the roles of operators."""

import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from remediator.app import build
from remediator.config_check import startup_findings
from runbookd.inventory import Inventory
from tests.unit.remediator.polling import becomes
from tests.unit.remediator.server.served import ONCALL, ApiTestClient, settings, stacks

DIAGNOSTICS = {"remediation": "collect_diagnostics", "target": "shop/stack/shop"}
DSN = "postgresql://nobody@127.0.0.1:1/none"
FREEZE = {"sale": {"from": "2020-01-01T00:00:00Z", "to": "2099-01-01T00:00:00Z"}}
SHOP = {"postgres": {"main": {"dsn": DSN, "admin_dsn": DSN}}, "freezes": FREEZE}


def with_roles(tmp_path: Path, **roles: str) -> Inventory:
    operators = {"oncall": {"token_file": tmp_path / "oncall"}}
    for role in roles:
        (tmp_path / role).write_text(f"{role}-token\n")
        operators[role] = {"token_file": tmp_path / role, "role": role}  # type: ignore[dict-item]
    return stacks(tmp_path, operators=operators, stacks={"shop": {**SHOP, "duties": {"drill": {"every": "31d"}}}})


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[ApiTestClient]:
    inventory = with_roles(tmp_path, viewer="viewer", reporter="reporter")
    async with TestClient(TestServer(build(settings(tmp_path), inventory))) as client:
        yield client


async def post(client: ApiTestClient, path: str, body: Any, operator: str = "oncall") -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {operator}-token"}
    async with client.post(f"/api/v1/{path}", json=body, headers=headers) as answer:
        return answer.status, await answer.json()


async def test_diagnostics_start_by_hand_without_an_entry_in_a_freeze(client: ApiTestClient) -> None:
    modes = (await (await client.get("/api/v1/status", headers=ONCALL)).json())["stacks"]["shop"]
    assert (modes["collect_diagnostics"], modes["terminate_idle_transactions"]) == ("auto", "shadow")
    status, asked = await post(client, "questions", {**DIAGNOSTICS, "reason": "before the deploy"})
    assert status == 200
    assert {"id", "plan", "plan_hash", "bounds", "expires_at"} <= asked.keys()
    assert [item["identity"] for item in asked["plan"]["items"]] == [{"part": "shop/postgres/main"}]
    assert asked["undo"]["kind"] == "none"
    path, body = f"questions/{asked['id']}/confirm", {"plan_hash": asked["plan_hash"]}
    status, run = await post(client, path, body)
    assert (status, run["trigger"], run["requested_by"], run["target"]) == (
        201,
        "operator",
        "oncall",
        "shop/stack/shop",
    )
    assert [item["state"] for item in run["items"]] == ["planned"]
    assert (await post(client, path, body))[0] == 409

    async def state() -> str:
        answer = await (await client.get(f"/api/v1/runs/{run['id']}", headers=ONCALL)).json()
        return str(answer["state"])

    await becomes(state, "nothing_to_do")  # nothing answers at this address, so the part is skipped


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"remediation": "collect_diagnostics"}, 400),
        ({**DIAGNOSTICS, "undo": 1}, 400),
        ({**DIAGNOSTICS, "parameters": {"name": "$(id)"}}, 400),
        ({**DIAGNOSTICS, "parameters": {"name": True}}, 400),
        ({**DIAGNOSTICS, "parameters": {"name": "x" * 500_000}}, 400),
        ({**DIAGNOSTICS, "target": "../" * 1_000}, 400),
        ({**DIAGNOSTICS, "unknown": 1}, 400),
        ({**DIAGNOSTICS, "target": "shop/stack/other\x00"}, 400),
        ({**DIAGNOSTICS, "target": "shop/stack/other\x1b"}, 404),
        ({"remediation": "rm", "target": "-rf"}, 404),
        ({"undo": 99}, 404),
        ({"remediation": "analyze_tables", "target": "shop/postgres/main"}, 503),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_unusable_question_is_refused_with_one_short_line(client: ApiTestClient, body: Any, status: int) -> None:
    answer_status, answer = await post(client, "questions", body)
    assert answer_status == status
    assert len(answer["error"]) < 600
    assert answer["error"].isprintable()


async def test_unknown_question_is_not_found(client: ApiTestClient) -> None:
    for number in ("9", "x", "1" * 30):
        assert (await post(client, f"questions/{number}/confirm", {"plan_hash": "0"}))[0] == 404


async def test_body_beyond_the_limit_is_refused(client: ApiTestClient) -> None:
    answer = await client.post("/api/v1/questions", data=io.BytesIO(b"x" * 2**21), headers=ONCALL)
    assert answer.status == 413


async def test_role_limits_what_an_operator_may_do(client: ApiTestClient) -> None:
    deploy = {"stack": "shop"}
    for operator, deploys, questions in (("viewer", 403, 403), ("reporter", 200, 403), ("oncall", 200, 200)):
        headers = {"Authorization": f"Bearer {operator}-token"}
        assert (await client.get("/api/v1/runs", headers=headers)).status == 200
        assert (await post(client, "deploys", deploy, operator))[0] == deploys
        assert (await post(client, "duties/shop/drill/done", {}, operator))[0] == deploys
        assert (await post(client, "questions", DIAGNOSTICS, operator))[0] == questions
        assert (await client.delete("/api/v1/pause", headers=headers)).status == questions


def test_two_operators_with_one_token_are_refused_at_the_check(tmp_path: Path) -> None:
    inventory = with_roles(tmp_path, viewer="viewer")
    (tmp_path / "viewer").write_text("oncall-token\n")
    [finding] = startup_findings(inventory)
    assert finding.path == ("operators", "viewer", "token_file")
    assert "oncall-token" not in finding.reason
