"""Real pages stay within the declared cost."""

import yaml

from exporter.pages.explain import costs
from runbookd.inventory import Inventory
from tests.integration.exporter.backups.stored_backups import write_proven_backups


async def test_no_target_has_more_series_or_round_trips_than_declared(
    start_exporter, metrics_server, database, redis_server, redis_url, tmp_path
) -> None:
    markers = write_proven_backups(tmp_path)
    stack = {
        "postgres": {"main": {"dsn": database.dsn("metrics")}},
        "redis": {"main": {"url": redis_url}},
        "queues": {"jobs": {"redis": "main", "names": ["emails", "images"], "dead_letter": "{name}-dlq"}},
        "backups": {"nightly": {"url": f"file://{tmp_path}", "pattern": "db_%Y%m%d.dump"}},
        "http": {"api": {"url": "http://127.0.0.1:1/"}},
    }
    redis_server._ask("RPUSH bull:emails:wait 1\r\nHSET bull:emails:1 timestamp 1 opts {}\r\n")
    exporter = await start_exporter(yaml.safe_dump({"stacks": {"shop": stack}}))
    page = await exporter.scrape_until(lambda page: page.value("backup_up") == 1)
    for cost in costs(Inventory.model_validate({"stacks": {"shop": stack}})):
        found = {name: len(page.series(name, target=cost.target)) for name in cost.families}
        assert sum(found.values()) <= cost.series
        if cost.collector == "backups":  # it has a fixed set of series
            assert all(found.values())
        trips = page.value("runbook_exporter_collector_round_trips", collector=cost.collector)
        assert trips == (cost.round_trips or 1 + markers)
