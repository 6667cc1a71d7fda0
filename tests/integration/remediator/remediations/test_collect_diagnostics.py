"""Diagnostics of a real PostgreSQL and a real Redis, under the roles of deploy/, are complete and masked."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from redis.asyncio import Redis

from demo.servers.postgres import PostgresServer
from demo.servers.redis import RedisServer
from remediator.context import Context
from remediator.diagnostics.bundle import format_lines, parts_of, read_all
from remediator.engine.engine import Engine
from remediator.escalation.attachments import Attachments
from remediator.escalation.sender import send_due
from remediator.ledger import deploys
from remediator.ledger.address import ledger_at
from remediator.model.clock import SystemClock
from remediator.model.remediation import Item, ItemState, Scope, Verdict
from remediator.remediations import REMEDIATIONS
from runbookd.inventory import Inventory
from tests.integration.remediator.remediations.raw_session import ask, raw_database
from tests.unit.remediator.payloads import delivery

DEPLOY = Path(__file__).parents[4] / "deploy"
ADMIN, REMEDIATOR = "admin-secret", "remediator-secret"
MAIL, CARD = "alice@example.com", "4111111111111111"
remediation = REMEDIATIONS["collect_diagnostics"]


@pytest.fixture(scope="module")
def roles(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    for role in ("remediator", "shop"):
        postgres_server.add_role(role)
    postgres_server.sql((DEPLOY / "postgres" / "remediator.sql").read_text())
    yield postgres_server
    for role in ("remediator", "shop"):
        postgres_server.sql(f"DROP ROLE {role}")


@pytest.fixture(scope="module")
def redis_with_users(servers_folder: Path) -> Iterator[RedisServer]:
    acl = servers_folder / "diagnostics.acl"
    rights = (DEPLOY / "redis" / "remediator.acl").read_text().replace(" on ", f" on >{REMEDIATOR} ", 1)
    acl.write_text(f"user default on >{ADMIN} ~* &* +@all\n{rights}")
    acl.chmod(0o600)
    server = RedisServer(servers_folder / "redis-diagnostics", acl=acl)
    server.start()
    yield server
    server.remove()


@pytest.fixture
async def redis(redis_with_users: RedisServer) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_with_users.url("default", ADMIN), decode_responses=True)
    await client.flushall()
    for place, job, score in (("wait", "7", 0), ("wait", "8", 0), ("failed", "9", 1_700_000_000_000)):
        fields = {"name": "welcome", "timestamp": "1700000000000", "atm": "3", "data": json.dumps({"to": MAIL})}
        fields["stacktrace"] = json.dumps([f"TypeError: no mailbox for {MAIL}"])
        await client.hset(f"bull:emails:{job}", mapping=fields)
        if place == "wait":
            await client.lpush("bull:emails:wait", job)
        else:
            await client.zadd("bull:emails:failed", {job: score})
    yield client
    await client.aclose()


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a busy machine read for longer."""
    monkeypatch.setattr("remediator.diagnostics.bundle.PART_SECONDS", 60.0)


@pytest.fixture
async def trouble(roles: PostgresServer, database: Any) -> AsyncIterator[Any]:
    """One session blocks another, and both have personal data in their statements."""
    database.sql("CREATE EXTENSION pg_stat_statements; CREATE TABLE people (id int, mail text, card text)")
    database.sql("INSERT INTO people VALUES (1, 'x', 'y'); GRANT ALL ON people TO shop")
    database.sql("SELECT pg_stat_statements_reset()")  # one text in another encoding hides those of all databases
    settings = {"application_name": f"worker of {MAIL}"}
    holder, waiter = [await asyncpg.connect(database.dsn("shop"), server_settings=settings) for _ in range(2)]
    for _ in range(6):
        await holder.execute(f"SELECT pg_sleep(0.01), '{MAIL}' -- {MAIL}")
    await holder.execute(f"BEGIN; UPDATE people SET mail = '{MAIL}' WHERE id = 1 /* {CARD} */")
    statement = f"UPDATE people SET card = '{CARD}' WHERE mail <> $${MAIL}$$"
    waiting = asyncio.create_task(waiter.execute(statement))
    for _ in range(500):
        if await holder.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            break
        await asyncio.sleep(0.02)
    yield database
    waiting.cancel()
    for connection in (waiter, holder):
        connection.terminate()
    await asyncio.gather(waiting, return_exceptions=True)


@pytest.fixture
def stack(trouble: Any, redis: Redis, redis_with_users: RedisServer) -> dict[str, Any]:
    return {
        "postgres": {"main": {"dsn": trouble.dsn("shop"), "admin_dsn": trouble.dsn("remediator")}},
        "redis": {"cache": {"url": "redis://x", "admin_url": redis_with_users.url("remediator", REMEDIATOR)}},
        "queues": {"jobs": {"redis": "cache", "names": ["emails"]}},
    }


async def bundle(scope_of: Any, stack: dict[str, Any], about: str = "") -> dict[str, Any]:
    scope: Scope = scope_of("stack", stack=stack, name="shop")
    parts = parts_of("shop", scope.stack, about)
    return dict(await read_all([Scope(scope.stack, part, scope.settings, "17") for part in parts]))


async def test_postgres_part_shows_blockers_and_slow_statements(scope_of, stack) -> None:
    found = (await bundle(scope_of, stack))["shop/postgres/main"]
    [blocked] = found["blocked"]
    [blocker] = found["blockers"]
    assert blocked["blocked_by"] == [blocker["pid"]]
    assert blocked["statement"] == "UPDATE people SET card = ? WHERE mail <> ?"
    assert (blocker["blocks"], blocker["state"], blocker["role"]) == (1, "idle in transaction", "shop")
    assert blocker["application"] == "worker of <email>"
    assert {"type": "Lock", "event": "transactionid", "sessions": 1} in found["waits"]
    assert blocker["pid"] in [row["pid"] for row in found["transactions"]]
    assert any(row["statement"].startswith("SELECT pg_sleep($1)") for row in found["statements"])
    assert {row["granted"] for row in found["locks"]} == {True, False}


@pytest.fixture
def latin_session(roles: PostgresServer, trouble: Any) -> Iterator[None]:
    """Keep a session whose statement is not UTF-8; pg_stat_statements has it as well, which all databases share."""
    with raw_database(roles) as session:
        ask(session, b'BEGIN; SELECT 1 AS "caf\xe9";\n')
        yield
    trouble.sql("SELECT pg_stat_statements_reset()")


async def test_text_in_another_encoding_costs_only_what_it_makes_unreadable(scope_of, stack, latin_session) -> None:
    found = (await bundle(scope_of, stack))["shop/postgres/main"]
    assert 'SELECT ? AS "caf\ufffd";' in [row["statement"] for row in found["transactions"]]
    assert {row["statement"] for row in found["statements"]} == {"text in another encoding"}
    assert max(row["mean_milliseconds"] for row in found["statements"]) >= 10


async def test_redis_part_shows_info_and_oldest_jobs(scope_of, stack) -> None:
    found = (await bundle(scope_of, stack))["shop/queues/jobs"]
    assert found["info"]["role"] == "master"
    assert found["info"]["maxmemory_policy"]
    emails = found["queues"]["emails"]
    assert emails["jobs"] == {"wait": 2, "failed": 1}
    assert emails["paused"] is False
    assert [job["id"] for job in emails["oldest_waiting"]] == ["7", "8"]
    [failed] = emails["oldest_failed"]
    assert failed == {
        "id": "9", "name": "welcome", "added_at": "2023-11-14T22:13:20Z", "attempts_made": "3", "error": "TypeError",
    }  # fmt: skip


async def test_huge_stack_of_a_job_is_not_read(scope_of, stack, redis: Redis) -> None:
    """Redis would serve no other client meanwhile."""
    await redis.hset("bull:emails:9", "stacktrace", json.dumps(["TypeError: " + "x" * 2**20]))
    [failed] = (await bundle(scope_of, stack))["shop/queues/jobs"]["queues"]["emails"]["oldest_failed"]
    assert (failed["id"], failed["error"]) == ("9", None)


async def test_queue_of_another_product_is_not_read(scope_of, stack, redis: Redis) -> None:
    await redis.lpush("bull:tenant2:mail:wait", "1")
    stack["queues"]["jobs"]["names"] = "discover"
    found = await bundle(scope_of, stack, "shop/queues/jobs/tenant2:mail")
    assert found["shop/queues/jobs/tenant2:mail"]["queues"] == {}


async def test_bundle_holds_no_personal_data_and_no_secret(scope_of, stack) -> None:
    text = repr(await bundle(scope_of, stack))
    assert "people" in text
    for secret in ("alice", "example.com", CARD, ADMIN, REMEDIATOR, "mailbox"):
        assert secret not in text


async def test_target_comes_first_with_its_queue(scope_of, stack) -> None:
    stack["queues"]["jobs"]["names"] = "discover"
    found = await bundle(scope_of, stack, about="shop/queues/jobs/emails")
    assert list(found) == ["shop/queues/jobs/emails", "shop/postgres/main"]
    assert found["shop/queues/jobs/emails"]["queues"]["emails"]["jobs"] == {"wait": 2, "failed": 1}
    assert (await bundle(scope_of, stack))["shop/queues/jobs"]["queues"] == {}


async def test_queue_names_its_prefix_when_there_are_several(scope_of, stack) -> None:
    stack["queues"]["jobs"] |= {"prefix": ["bull", "other"], "names": "discover"}
    found = await bundle(scope_of, stack, about="shop/queues/jobs/bull:emails")
    assert found["shop/queues/jobs/bull:emails"]["queues"]["bull:emails"]["jobs"] == {"wait": 2, "failed": 1}
    strange = await bundle(scope_of, stack, about="shop/queues/jobs/emails")
    assert strange["shop/queues/jobs/emails"]["queues"] == {}


async def test_silent_part_is_one_line_and_the_others_are_complete(scope_of, stack) -> None:
    stack["postgres"]["spare"] = {"dsn": "postgresql://x", "admin_dsn": "postgresql://a:hunter2@127.0.0.1:1/x"}
    lines = format_lines(await bundle(scope_of, stack))
    [spare] = [line for line in lines if line.startswith("shop/postgres/spare")]
    assert spare.startswith("shop/postgres/spare: cannot read: ")
    assert "hunter2" not in spare
    assert "  blocked:" in lines


async def test_missing_right_is_reported_and_the_rest_is_shown(scope_of, stack, trouble) -> None:
    stack["postgres"]["main"]["admin_dsn"] = trouble.dsn("shop")
    trouble.sql("REVOKE ALL ON pg_stat_statements FROM PUBLIC")
    found = (await bundle(scope_of, stack))["shop/postgres/main"]
    assert found["statements"] == "cannot read: permission denied for view pg_stat_statements"
    assert found["sessions"]


async def test_remediation_reads_each_part_and_changes_nothing(scope_of, stack, trouble) -> None:
    stack["queues"]["other"] = {"redis": "cache", "names": ["none"]}
    scope = scope_of("stack", stack=stack, name="shop")
    async with remediation.open(scope) as session:
        plan = await session.plan()
        outcomes = [outcome for item in plan.items for outcome in await session.apply([item])]
        gone = await session.apply([Item({"part": "shop/postgres/gone"})])
        assert await session.verify(plan.items) == Verdict(True, {"read": 3})
    assert [item.identity["part"] for item in plan.items] == [
        "shop/postgres/main", "shop/queues/jobs", "shop/queues/other",
    ]  # fmt: skip
    assert {outcome.state for outcome in outcomes} == {ItemState.APPLIED}
    assert json.loads(outcomes[0].detail)["blocked"][0]["statement"].startswith("UPDATE people")
    assert gone[0].state is ItemState.SKIPPED


@pytest.fixture
async def endpoints() -> AsyncIterator[str]:
    """Two endpoints, of which one fails and says something private."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=502 if request.path == "/api" else 200, text=MAIL)

    app = web.Application()
    app.router.add_get("/{name}", answer)
    async with TestServer(app) as server:
        yield f"http://127.0.0.1:{server.port}"


async def test_surroundings_show_endpoints_and_services(scope_of, endpoints: str, tmp_path: Path) -> None:
    script = tmp_path / "state"
    script.write_text('#!/bin/sh\necho \'{"state": "running", "started": "2026-11-01T10:00:00Z", "restarts": 4}\'\n')
    script.chmod(0o755)
    command = {"state": [str(script)], "restart": ["/bin/false"]}
    broken = {"state": ["/bin/false"], "restart": ["/bin/false"]}
    stack = {
        "http": {name: {"url": f"{endpoints}/{name}"} for name in ("api", "web")},
        "services": {"worker": {"command": command}, "mailer": {"command": broken}},
    }
    found = (await bundle(scope_of, stack))["shop/stack/shop"]
    assert found["endpoints"] == [
        {"name": "api", "answer": "status 502, not 200"}, {"name": "web", "answer": "good"},
    ]  # fmt: skip
    worker, mailer = found["services"]
    assert worker == {
        "name": "worker", "state": "running", "instances": 1, "restarts": 4, "started": "2026-11-01T10:00:00+00:00",
    }  # fmt: skip
    assert "ended with 1" in mailer["error"]
    assert "  endpoints:" in (lines := format_lines({"shop/stack/shop": found}))
    assert '    name=api answer="status 502, not 200"' in lines


async def test_more_endpoints_than_shown_are_counted(scope_of, endpoints: str) -> None:
    stack = {"http": {f"e{number}": {"url": f"{endpoints}/web"} for number in range(12)}}
    found = (await bundle(scope_of, stack))["shop/stack/shop"]
    assert (len(found["endpoints"]), found["endpoints_left_out"]) == (10, "2 more")


@pytest.fixture
async def contacts_server() -> AsyncIterator[Any]:
    messages: list[str] = []

    async def take(request: web.Request) -> web.Response:
        messages.append((await request.json())["message"])
        return web.Response()

    app = web.Application()
    app.router.add_post("/{contact}", take)
    async with TestServer(app) as server:
        yield messages, f"json://127.0.0.1:{server.port}"


async def escalate(contacts_server: Any, stack: dict[str, Any], folder: Path) -> list[str]:
    """Deliver an alert on a target that cannot be read, which is escalated; return the messages."""
    messages, url = contacts_server
    contacts = {name: {"url": f"{url}/{name}"} for name in ("oncall", "leads")}
    stack["backups"] = {"nightly": {"url": "file:///no/such/folder", "pattern": "db_%Y%m%d.dump"}}
    inventory = Inventory.model_validate({"contacts": contacts, "stacks": {"shop": stack}})
    async with ledger_at(f"sqlite:///{folder}/ledger.db").open() as ledger:
        context = Context(inventory, ledger, SystemClock(), REMEDIATIONS, None)
        async with ledger.write() as connection:
            await deploys.end(connection, context.clock.now(), "release", "shop", "v1.4")
        await ledger.accept(context.clock.now(), delivery(remediation="run_backup", target="nightly"))
        engine = Engine(context)
        for _ in range(2):
            await engine.tick()
            await engine.wait_for_runs()
        await send_due(context, Attachments(context))
    return list(messages)


async def test_every_escalation_has_diagnostics_attached(contacts_server, stack, tmp_path) -> None:
    messages = await escalate(contacts_server, stack, tmp_path)
    assert len(messages) == 2
    assert messages[0] == messages[1]
    assert "UPDATE people SET card = ? WHERE mail <> ?" in messages[0]
    assert "\n      oldest_failed:\n        id=9 name=welcome " in messages[0]
    assert re.search(r"\nlast deploy of v1\.4: \S+ \S+ UTC by release, done \S+ UTC\n", messages[0])
    assert "alice" not in messages[0]


async def test_mode_off_reads_nothing_for_escalations(contacts_server, stack, tmp_path) -> None:
    stack["remediations"] = {"collect_diagnostics": {"mode": "off"}}
    messages = await escalate(contacts_server, stack, tmp_path)
    assert len(messages) == 2
    assert "diagnostics at" not in messages[0]


async def test_attachment_is_cut_to_the_limit_of_messengers(contacts_server, stack, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("remediator.escalation.attachments.MAX_CHARACTERS", 100)
    [message, _] = await escalate(contacts_server, stack, tmp_path)
    assert len(message.partition("\ndiagnostics at")[2]) < 100
