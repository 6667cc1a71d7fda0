"""The HTTP responses of the remediator, to Alertmanager and to operators."""

import asyncio
import io
import re
import sqlite3
from base64 import b64encode
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from remediator.app import build
from remediator.ledger.address import ledger_at
from remediator.settings import WebhookSettings
from runbookd.service.tls_and_users import WebGuard
from tests.unit.remediator.payloads import alert, delivery
from tests.unit.remediator.polling import becomes
from tests.unit.remediator.server.served import HOOK, ONCALL, ApiTestClient, settings, stacks


async def test_health_routes_answer_200(client: ApiTestClient) -> None:
    assert (await client.get("/-/healthy")).status == 200
    assert (await client.get("/-/ready")).status == 200


async def test_a_delivery_is_accepted_and_shows_up_as_a_run(client: ApiTestClient) -> None:
    body = delivery([alert(stack="nobody"), alert(fingerprint="x", remediation="")])
    assert (await client.post("/webhook", data=body, headers=HOOK)).status == 200

    async def runs() -> list[tuple[str, str]]:
        answer = await client.get("/api/v1/runs", headers=ONCALL)
        return [(run["state"], run["reason"]) for run in (await answer.json())["runs"]]

    await becomes(runs, [("refused", "unknown_target")] * 2)
    run = await (await client.get("/api/v1/runs/1", headers=ONCALL)).json()
    assert run["history"][0]["state"] == "planned"
    page = await (await client.get("/metrics")).text()
    assert 'remediation_refusals_total{bound="unknown_target",remediation="(unknown)",stack="(unknown)"} 1.0' in page


async def test_runs_are_filtered_and_paged(client: ApiTestClient) -> None:
    alerts = [alert(fingerprint=name, stack=name, remediation="r") for name in ("a", "b", "c")]
    await client.post("/webhook", data=delivery([*alerts, alert(remediation="other")]), headers=HOOK)

    async def ask(**query: str) -> Any:
        return await (await client.get("/api/v1/runs", params=query, headers=ONCALL)).json()

    async def stacks() -> list[str]:
        return [run["stack"] for run in (await ask())["runs"]]

    await becomes(stacks, ["shop", "c", "b", "a"])
    assert [run["stack"] for run in (await ask(remediation="r"))["runs"]] == ["c", "b", "a"]
    assert [run["remediation"] for run in (await ask(stack="shop"))["runs"]] == ["other"]
    assert (await ask(state="succeeded")) == {"runs": [], "next": None}
    first = await ask(remediation="r", limit="2")
    assert [run["stack"] for run in first["runs"]] == ["c", "b"]
    assert [run["stack"] for run in (await ask(remediation="r", before=str(first["next"])))["runs"]] == ["a"]


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}


async def test_webhook_token_is_accepted_as_a_basic_password(client: ApiTestClient) -> None:
    assert (await client.post("/webhook", data=delivery(), headers=basic("anybody", "hook-token"))).status == 200
    assert (await client.post("/webhook", data=delivery(), headers=basic("hook-token", "wrong"))).status == 403
    assert (await client.post("/webhook", data=delivery(), headers=basic("anybody", ""))).status == 401
    assert (await client.get("/api/v1/runs", headers=basic("oncall", "oncall-token"))).status == 401


async def test_both_tokens_are_accepted_during_a_rotation(tmp_path: Path) -> None:
    remediator_settings = settings(tmp_path)
    (tmp_path / "next").write_text("next-token")
    both = remediator_settings.model_copy(
        update={"webhook": WebhookSettings(token_file=[tmp_path / "hook", tmp_path / "next"])}
    )
    async with TestClient(TestServer(build(both, stacks(tmp_path)))) as client:
        for token, status in (("hook-token", 200), ("next-token", 200), ("other", 403)):
            headers = {"Authorization": f"Bearer {token}"}
            assert (await client.post("/webhook", data=delivery(), headers=headers)).status == status
        page = await (await client.get("/metrics")).text()
    assert re.search(r'^remediation_deliveries_total{answer="accepted"} [1-9]', page, re.MULTILINE)
    assert re.search(r'^remediation_deliveries_total{answer="unauthorized"} [1-9]', page, re.MULTILINE)


async def test_body_that_does_not_arrive_gets_503(client: ApiTestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alertmanager retries only after 5xx."""
    monkeypatch.setattr("remediator.server.webhook.READ_SECONDS", 0.1)
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(b"POST /webhook HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer hook-token\r\nContent-Length: 9\r\n\r\n{")
    answer = asyncio.create_task(reader.readline())
    assert (await asyncio.wait([answer], timeout=60))[0], "nothing was answered"
    assert answer.result().split()[1] == b"503"
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({}, delivery(), 401),
        ({"Authorization": "Basic aG9vaw=="}, delivery(), 401),
        ({"Authorization": "Bearer wrong"}, delivery(), 403),
        (ONCALL, delivery(), 403),
        (HOOK, b"{", 400),
        (HOOK, b" " * (1024 * 1024 + 1), 413),
        (HOOK, delivery([alert()] * 1001), 413),
    ],
)
async def test_webhook_refuses_wrong_tokens_and_bodies(
    client: ApiTestClient, headers: dict[str, str], body: bytes, status: int
) -> None:
    answer = await client.post("/webhook", data=io.BytesIO(body), headers=headers)
    assert answer.status == status
    assert "Traceback" not in await answer.text()
    assert (status == 413) == ("set max_alerts in Alertmanager" in await answer.text())


@pytest.mark.parametrize(("headers", "status"), [({}, 401), (HOOK, 403), (ONCALL, 200)])
async def test_api_requires_an_operators_token(client: ApiTestClient, headers: dict[str, str], status: int) -> None:
    assert (await client.get("/api/v1/runs", headers=headers)).status == status


async def test_api_without_operators_names_the_remedy(tmp_path: Path) -> None:
    async with TestClient(TestServer(build(settings(tmp_path), stacks(tmp_path, operators={})))) as client:
        answer = await client.get("/api/v1/runs", headers=HOOK)
        assert answer.status == 403
        assert "operators: {oncall: {token_file:" in await answer.text()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/runs?limit=0", 400),
        ("/api/v1/runs?limit=many", 400),
        ("/api/v1/runs?before=-1", 400),
        ("/api/v1/runs?state=fine", 400),
        ("/api/v1/runs/1", 404),
        ("/api/v1/runs/one", 404),
        ("/api/v1/runs/99999999999999999999999", 404),
        ("/api/v1/runs?state=refused&stack=shop&limit=5", 200),
    ],
)
async def test_invalid_queries_of_runs_are_refused(client: ApiTestClient, path: str, status: int) -> None:
    assert (await client.get(path, headers=ONCALL)).status == status


async def test_approval_is_404_for_an_unknown_run_and_409_for_an_ended_run(
    client: ApiTestClient,
) -> None:
    assert (await client.post("/api/v1/runs/1/approve", headers=ONCALL)).status == 404
    await client.post("/webhook", data=delivery([alert(stack="nobody")]), headers=HOOK)

    async def approved() -> tuple[int, Any]:
        answer = await client.post("/api/v1/runs/1/approve", headers=ONCALL)
        return answer.status, await answer.json()

    await becomes(approved, (409, {"error": "run 1 is refused, not awaiting_approval"}))


async def test_webhook_answers_503_while_the_queue_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remediator.intake.gate.MAX_DELIVERIES", 5)
    monkeypatch.setattr("remediator.intake.ingest.BATCH_SIZE", 1)
    remediator_settings = settings(tmp_path)
    async with ledger_at(remediator_settings.ledger.url).open() as ledger:
        for _ in range(8):
            await ledger.accept(datetime.now(UTC), delivery())
    async with TestClient(TestServer(build(remediator_settings, stacks(tmp_path)))) as client:

        async def answered() -> tuple[int, str]:
            answer = await client.post("/webhook", data=delivery(), headers=HOOK)
            return answer.status, (await answer.text()).strip()

        await becomes(answered, (503, "5 deliveries are queued; try again"))
        await becomes(answered, (200, "accepted"))


async def test_closing_a_closed_breaker_is_404(client: ApiTestClient) -> None:
    answer = await client.delete("/api/v1/breakers/terminate_idle_transactions/shop/postgres/main", headers=ONCALL)
    assert answer.status == 404


async def test_misspelt_breaker_is_not_taken_for_a_closed_one(tmp_path: Path) -> None:
    remediator_settings = settings(tmp_path)
    async with ledger_at(remediator_settings.ledger.url).open():
        pass
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection, connection:
        connection.execute(
            "INSERT INTO breaker (stack, remediation, target, opened_at, run, reason)"
            " VALUES ('shop', 'vacuum_tables', 'shop/postgres/main', 1, 1, 'failed')"
        )
    async with TestClient(TestServer(build(remediator_settings, stacks(tmp_path)))) as client:
        answer = await client.delete("/api/v1/breakers/vacuum_table/shop/postgres/main", headers=ONCALL)
        error = "no breaker of vacuum_table on shop/postgres/main is open"
        meant = "vacuum_tables on shop/postgres/main"
        assert (answer.status, await answer.json()) == (404, {"error": f"{error}; did you mean {meant!r}?"})


async def test_webhook_answers_503_while_its_token_file_is_replaced(client: ApiTestClient, tmp_path: Path) -> None:
    (tmp_path / "hook").write_text("")
    assert (await client.post("/webhook", data=delivery(), headers=HOOK)).status == 503
    (tmp_path / "hook").write_text("new-token")
    assert (await client.post("/webhook", data=delivery(), headers=HOOK)).status == 403
    headers = {"Authorization": "Bearer new-token"}
    assert (await client.post("/webhook", data=delivery(), headers=headers)).status == 200


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_body_with_a_wrong_content_encoding_is_refused(client: ApiTestClient, encoding: str) -> None:
    answer = await client.post("/webhook", data=b"no such thing", headers={**HOOK, "Content-Encoding": encoding})
    assert answer.status == 400


async def test_token_that_is_not_utf8_is_refused(client: ApiTestClient) -> None:
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(b"GET /api/v1/runs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\r\nConnection: close\r\n\r\n")
    assert (await reader.readline()).split()[1] == b"403"
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/api/v1/plan"), ("GET", "/api/v1/runs/1/why"), ("POST", "/api/v1/simulate")]
)
async def test_previews_require_an_operators_token(client: ApiTestClient, method: str, path: str) -> None:
    assert (await client.request(method, path)).status == 401
    assert (await client.request(method, path, headers=HOOK)).status == 403


async def test_a_malformed_payload_is_not_simulated(client: ApiTestClient) -> None:
    answer = await client.post("/api/v1/simulate", data=b"{}", headers=ONCALL)
    assert answer.status == 400
    assert "version" in await answer.text()


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("GET", "/api/v1/runs?state=fine", 400, "state must be one of planned, prechecked, "),
        ("GET", "/api/v1/runs?limit=many", 400, "limit must be a whole number from 1, not 'many'"),
        ("GET", "/api/v1/runs/7", 404, "there is no run 7"),
        ("GET", "/api/v1/runs/one", 404, "there is no run 'one'"),
        ("GET", "/api/v1/run", 404, "there is no /api/v1/run"),
        ("GET", "/api/v1/runs?stack=shp", 404, "the inventory has no stack 'shp'; did you mean 'shop'?"),
        ("GET", "/api/v1/runs?remediation=run_backups", 404, "there is no remediation 'run_backups'; did you mean"),
        ("DELETE", "/api/v1/runs", 405, "/api/v1/runs accepts GET, HEAD, not DELETE"),
        ("POST", "/api/v1/pause", 400, "body: "),
        ("GET", "/api/v1/plan?remediation=x&target=y", 404, "there is no remediation 'x'"),
    ],
)
async def test_every_api_error_is_json(client: ApiTestClient, method: str, path: str, status: int, error: str) -> None:
    answer = await client.request(method, path, headers=ONCALL)
    assert answer.status == status
    assert (await answer.json())["error"].startswith(error)
    assert (status == 405) == ("Allow" in answer.headers)


async def test_missing_token_gets_a_json_error(client: ApiTestClient) -> None:
    answer = await client.get("/api/v1/runs")
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert await answer.json() == {"error": "no token; send a bearer token"}


async def test_users_of_the_web_configuration_guard_metrics_but_not_the_console(tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_text("basic_auth_users: {prometheus: $2b$10$" + "a" * 53 + "}\n")
    app = build(settings(tmp_path), stacks(tmp_path))
    WebGuard(tmp_path / "web.yml").install(app)
    async with TestClient(TestServer(app)) as client:
        assert (await client.get("/metrics")).status == 401
        assert (await client.get("/loginx")).status == 401
        assert (await client.get("/login")).status == 200
        assert (await client.get("/api/v1/runs", headers=ONCALL)).status == 200


async def test_console_is_closed_on_a_public_address_while_all_else_goes_on(tmp_path: Path) -> None:
    app = build(settings(tmp_path, listen_address="0.0.0.0:0"), stacks(tmp_path))
    async with TestClient(TestServer(app)) as client:
        closed = await client.get("/login")
        assert (closed.status, "plain_http" in await closed.text()) == (403, True)
        assert (await client.get("/metrics")).status == 200
        assert (await client.post("/webhook", data=delivery(), headers=HOOK)).status == 200
        assert (await client.get("/api/v1/runs", headers=ONCALL)).status == 200


async def test_header_of_a_proxy_is_no_credential_of_the_api(tmp_path: Path) -> None:
    console = {"proxy_header": "X-Remote-User", "trusted_proxies": ["127.0.0.1"]}
    async with TestClient(TestServer(build(settings(tmp_path), stacks(tmp_path, console=console)))) as client:
        assert (await client.get("/api/v1/runs", headers={"X-Remote-User": "oncall"})).status == 401
