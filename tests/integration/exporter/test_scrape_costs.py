"""A scrape costs the servers a counted number of statements, round trips, commands and connections."""

import pytest
import redis

from benchmarks.queues import fill
from tests.integration.exporter.conftest import METRICS_ROLE

QUEUES, SCRAPES, COMMANDS_PER_QUEUE = 10, 8, 20
NAMES = ", ".join(f"queue{number}" for number in range(QUEUES))
CALLS = f"SELECT sum(calls) FROM pg_stat_statements(false) WHERE userid = '{METRICS_ROLE}'::regrole"


@pytest.fixture
def queues(redis_server, redis_url) -> redis.Redis:
    fill(redis_server, QUEUES)
    with redis.Redis(port=redis_server.port) as client:
        yield client


async def test_scrape_of_postgres_is_one_statement_in_one_round_trip(start_exporter, database, metrics_server) -> None:
    database.sql("CREATE EXTENSION pg_stat_statements")
    exporter = await start_exporter(
        f"stacks: {{shop: {{postgres: {{main: {{dsn: '{database.dsn(METRICS_ROLE)}'}}}}}}}}"
    )
    await exporter.scrape_after_jobs()
    await exporter.scrape()
    before = int(database.sql(CALLS))
    for _ in range(SCRAPES):
        page = await exporter.scrape()
        assert page.value("runbook_exporter_collector_round_trips", collector="postgres") == 1
    assert int(database.sql(CALLS)) - before == SCRAPES


async def test_scrape_of_redis_and_idle_queues_is_a_few_commands(start_exporter, redis_url, queues) -> None:
    stack = f"redis: {{cache: {{url: '{redis_url}'}}}}, queues: {{jobs: {{redis: cache, names: [{NAMES}]}}}}"
    exporter = await start_exporter(f"stacks: {{shop: {{{stack}}}}}")
    for _ in range(3):  # learns the priorities
        await exporter.scrape()
    queues.config_resetstat()
    for _ in range(SCRAPES):
        page = await exporter.scrape()
        assert page.value("runbook_exporter_collector_round_trips", collector="redis") == 1
        assert page.value("runbook_exporter_collector_round_trips", collector="queues") == 2
    calls = {name: values["calls"] for name, values in queues.info("commandstats").items()}
    assert calls["cmdstat_ping"] == SCRAPES
    assert sum(calls.values()) <= SCRAPES * (QUEUES * COMMANDS_PER_QUEUE + 5)
    assert queues.info("stats")["total_connections_received"] == 0
