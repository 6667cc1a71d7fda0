"""The engine runs remediations from an alert's labels to the record, on real servers and a real ledger."""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy import select

from demo.servers.postgres import PostgresServer
from remediator.context import Context
from remediator.engine.engine import Engine
from remediator.ledger import switches
from remediator.ledger.address import ledger_at
from remediator.ledger.run_list import list_runs
from remediator.ledger.runs import Run
from remediator.ledger.schema import outbox
from remediator.model.clock import SystemClock
from remediator.model.episode_key import EpisodeKey
from remediator.model.run_state import RunState
from remediator.remediations import REMEDIATIONS
from remediator.runs.approval import approve
from runbookd.inventory import Inventory
from tests.integration.remediator.remediations.steps import FLUSH
from tests.unit.remediator.payloads import delivery

GRANTS = Path(__file__).parents[4] / "deploy" / "postgres"
ROLES = ("remediator", "owner")
KEY = "bull:emails"


@dataclass(frozen=True)
class RunningEngine:
    """An engine that a test drives by hand."""

    context: Context
    engine: Engine

    async def deliver(self, **labels: Any) -> Run:
        await self.context.ledger.accept(self.context.clock.now(), delivery(**labels))
        for _ in range(3):
            await self.engine.tick()
            await self.engine.wait_for_runs()
        async with self.context.ledger.read() as connection:
            return (await list_runs(connection, limit=1)).runs[0]


StartEngine = Callable[[dict[str, Any]], AbstractAsyncContextManager[RunningEngine]]


@pytest.fixture
def start(tmp_path: Path) -> StartEngine:
    @asynccontextmanager
    async def running(stack: dict[str, Any]) -> AsyncIterator[RunningEngine]:
        inventory = Inventory.model_validate({"contacts": {"oncall": {"url": "json://x"}}, "stacks": {"shop": stack}})
        async with ledger_at(f"sqlite:///{tmp_path}/ledger.db").open() as ledger:
            context = Context(inventory, ledger, SystemClock(), REMEDIATIONS, None)
            yield RunningEngine(context, Engine(context))

    return running


@pytest.fixture
def database_of_owner(postgres_server: PostgresServer, database: Any) -> Iterator[Any]:
    for role in ROLES:
        postgres_server.add_role(role)
    words = "\\set owner owner\n\\set schema public\n"
    postgres_server.sql((GRANTS / "remediator.sql").read_text())
    postgres_server.sql(words + (GRANTS / "maintain_tables.sql").read_text())
    database.sql("GRANT CREATE ON SCHEMA public TO owner")
    made = "CREATE TABLE orders (id int) WITH (autovacuum_enabled = false)"
    database.sql(f"{made}; INSERT INTO orders SELECT generate_series(1, 5000); {FLUSH}", role="owner")
    yield database
    database.sql("DROP OWNED BY owner")
    for role in ROLES:
        postgres_server.sql(f"DROP ROLE {role}")


async def test_alert_on_one_table_analyzes_the_changed_tables(start: StartEngine, database_of_owner: Any) -> None:
    dsns = {"dsn": database_of_owner.dsn("owner"), "admin_dsn": database_of_owner.dsn("remediator")}
    stack = {"postgres": {"main": dsns}, "remediations": {"analyze_tables": {"mode": "auto", "settle": "0s"}}}
    labels = {"datname": database_of_owner.name, "schemaname": "public", "relname": "orders"}
    async with start(stack) as running:
        run = await running.deliver(remediation="analyze_tables", target="main", **labels)
    assert (run.state, run.target) == (RunState.SUCCEEDED, "shop/postgres/main")
    assert run.evidence["proof"] == {"clean": True, "analyzed": 1}
    assert database_of_owner.sql("SELECT analyze_count FROM pg_stat_user_tables") == "1"


async def test_vacuum_in_mode_auto_is_refused_where_the_role_would_be_too_wide(
    start: StartEngine, database_of_owner: Any
) -> None:
    dsns = {"dsn": database_of_owner.dsn("owner"), "admin_dsn": database_of_owner.dsn("remediator")}
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    window = {"days": days, "from": "00:00", "to": "23:59:59"}
    settings = {"mode": "auto", "only_in": "always"}
    stack = {"postgres": {"main": dsns}, "windows": {"always": window}, "remediations": {"vacuum_tables": settings}}
    async with start(stack) as running:
        run = await running.deliver(remediation="vacuum_tables", target="main")
    assert (run.state, run.reason) == (RunState.REFUSED, "role_too_wide")
    assert database_of_owner.sql("SELECT vacuum_count FROM pg_stat_user_tables") == "0"


def queue_stack(redis_url: str, **bounds: Any) -> dict[str, Any]:
    return {
        "redis": {"cache": {"url": redis_url, "admin_url": redis_url}},
        "queues": {"jobs": {"redis": "cache"}},
        "remediations": {"retry_failed_jobs": {"mode": "auto", "settle": "0s", "verify_within": "0s", **bounds}},
    }


async def add_queue(redis: Redis) -> None:
    await redis.hset(f"{KEY}:meta", "version", "bullmq:5.1.0")
    await redis.xadd(f"{KEY}:events", {"event": "added"})


async def fail_again(redis: Redis, moment: int) -> None:
    """Write the fields of a failed job that the script reads."""
    await redis.lrem(f"{KEY}:wait", 0, "7")
    added_at = time.time_ns() // 1_000_000  # an older job would be left to a person
    await redis.hset(
        f"{KEY}:7", mapping={"timestamp": str(added_at), "processedOn": "2", "name": "welcome", "atm": "1"}
    )
    await redis.zadd(f"{KEY}:failed", {"7": moment})


async def test_queue_obliterated_before_approval_is_not_a_success(start: StartEngine, redis_url: str) -> None:
    redis = Redis.from_url(redis_url, decode_responses=True)
    await add_queue(redis)
    await fail_again(redis, 1_700_000_000_000)
    async with start(queue_stack(redis_url, mode="approve")) as running:
        run = await running.deliver(remediation="retry_failed_jobs", target="jobs", queue="emails")
        assert run.state is RunState.AWAITING_APPROVAL
        await redis.delete(*await redis.keys(f"{KEY}:*"))
        await approve(running.context, run.id, "oncall")
        run = await running.deliver(remediation="retry_failed_jobs", target="jobs", queue="emails")
    assert (run.state, run.reason) == (RunState.NOTHING_TO_DO, "changed_since_planned")
    await redis.aclose()


async def test_job_that_always_fails_is_retried_twice_and_then_escalated(start: StartEngine, redis_url: str) -> None:
    redis = Redis.from_url(redis_url, decode_responses=True)
    await add_queue(redis)
    seen = []
    async with start(queue_stack(redis_url, cooldown="0s", max_runs_per_hour=10)) as running:
        for number in range(3):
            await fail_again(redis, 1_700_000_000_000 + number)
            run = await running.deliver(remediation="retry_failed_jobs", target="jobs", queue="emails")
            seen.append((run.state, run.reason))
            async with running.context.ledger.write() as connection:
                key = EpisodeKey("shop", "retry_failed_jobs", "shop/queues/jobs/emails")
                await switches.close_breaker(connection, key, running.context.clock.now(), "oncall")
        async with running.context.ledger.read() as connection:
            titles = [row.title for row in await connection.execute(select(outbox.c.title).order_by(outbox.c.id))]
    assert seen == [
        (RunState.INEFFECTIVE, "still_there"),
        (RunState.INEFFECTIVE, "still_there"),
        (RunState.NOTHING_TO_DO, "retried_twice"),
    ]
    assert titles[-1].endswith("shop/queues/jobs/emails: nothing_to_do (retried_twice)")
    assert await redis.zcard(f"{KEY}:failed") == 1
    await redis.aclose()
