"""The exporter's pages over HTTP."""

import asyncio
import json
import subprocess

import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from exporter.collectors import COLLECTORS
from exporter.metric import single_samples
from exporter.metrics_page import MetricsPage
from exporter.scrape import Scraper, Selection
from exporter.series import MAX_SERIES, TargetSeries
from runbookd.inventory import Inventory
from runbookd.service.exposition import Format
from tests.integration.exporter.backups.stored_backups import write_proven_backups
from tools.toolchain.paths import launcher

TWO = """\
stacks:
  shop:
    runbook_url: https://runbooks.example/shop
    dashboard_url: https://grafana.example/d/stack?var-stack=shop
    redis: {{main: {{url: "{redis}"}}}}
    http: {{api: {{url: "http://127.0.0.1:1/"}}}}
  mail:
    redis: {{main: {{url: "{redis}"}}}}
"""


@pytest.fixture
async def exporter(start_exporter, redis_url):
    return await start_exporter(TWO.format(redis=redis_url))


def stacks(page) -> set[str]:
    return {dict(labels)["stack"] for labels in page.series("redis_up")}


async def test_page_without_selection_has_all_stacks_and_the_process(exporter) -> None:
    page = await exporter.scrape()
    assert stacks(page) == {"shop", "mail"}
    assert page.value("process_open_fds") is not None
    assert page.value("runbook_exporter_build_info") == 1
    assert page.value(
        "stack_info",
        stack="shop",
        runbook_url="https://runbooks.example/shop",
        dashboard_url="https://grafana.example/d/stack?var-stack=shop",
    )
    assert page.value("stack_info", stack="mail", runbook_url="", dashboard_url="") == 1
    assert page.series("runbook_exporter_dropped_series").values()
    assert set(page.series("runbook_exporter_dropped_series").values()) == {0}


async def test_page_with_selection_has_only_the_selected_targets(exporter) -> None:
    page = await exporter.scrape("?stack=mail")
    assert stacks(page) == {"mail"}
    assert page.series("stack_info", stack="shop") == {}
    assert page.series("process_open_fds") == {}
    page = await exporter.scrape("?collector=http")
    assert page.series("redis_up") == {}
    assert page.value("probe_success", stack="shop") == 0
    page = await exporter.scrape("?stack=shop&stack=mail&collector=redis&collector=http")
    assert stacks(page) == {"shop", "mail"}


@pytest.mark.parametrize(
    ("query", "status", "expected"),
    [
        ("?stack=shpo", 404, "unknown stack 'shpo'; there are: mail, shop\n"),
        ("?collector=mysql", 400, f"unknown collector 'mysql'; there are: {', '.join(sorted(COLLECTORS))}\n"),
    ],
)
async def test_unknown_selection_is_refused_with_the_known_names(exporter, query, status, expected) -> None:
    assert await exporter.get(f"/metrics{query}") == (status, expected)


async def test_service_discovery_lists_one_target_per_stack(exporter) -> None:
    status, body = await exporter.get("/sd", Host="exporter.example:9850")
    assert status == 200
    assert json.loads(body) == [
        {"targets": ["exporter.example:9850"], "labels": {"stack": name, "__param_stack": name}}
        for name in ("shop", "mail")
    ]


async def test_landing_page_shows_the_state_of_each_target(exporter) -> None:
    assert "not scraped yet" in (await exporter.get("/"))[1]
    await exporter.scrape()
    status, body = await exporter.get("/")
    assert status == 200
    assert "<td>shop/redis/main</td><td>up</td>" in body
    assert "<td>shop/http/api</td><td>http://127.0.0.1:1/: 127.0.0.1:1: the connection is refused" in body


async def test_openmetrics_is_served_on_request(exporter) -> None:
    status, body = await exporter.get("/metrics", Accept="application/openmetrics-text;version=1.0.0")
    assert status == 200
    assert body.endswith("# EOF\n")


ACCEPTED_NAMES = ("redis_keys_count", "redis_rdb_last_bgsave_duration_sec")
"""Reviewed names that promtool rejects, kept because redis_exporter has them."""


def complaints(text: str) -> list[str]:
    """Return the complaints of `promtool check metrics`, except about the reviewed names."""
    argv = [launcher("promtool"), "check", "metrics"]
    result = subprocess.run(argv, input=text, text=True, capture_output=True, check=False)
    lines = (result.stdout + result.stderr).splitlines()
    assert bool(lines) == bool(result.returncode)
    return [line for line in lines if line.split()[0] not in ACCEPTED_NAMES]


async def test_promtool_accepts_the_page(start_exporter, metrics_server, database, redis_url, tmp_path) -> None:
    write_proven_backups(tmp_path)
    stack = {
        "postgres": {"main": {"dsn": database.dsn("metrics")}},
        "redis": {"main": {"url": redis_url}},
        "queues": {"jobs": {"redis": "main", "names": ["emails"], "dead_letter": "{name}-dlq"}},
        "backups": {"nightly": {"url": f"file://{tmp_path}", "pattern": "db_%Y%m%d.dump"}},
        "http": {"api": {"url": "http://127.0.0.1:1/"}},
    }
    exporter = await start_exporter(yaml.safe_dump({"stacks": {"shop": stack}}))
    page = await exporter.scrape_until(lambda page: page.value("backup_up") == 1)
    # The metrics of the other kinds depend on version and state; their own tests check all of them.
    declared = {metric.name for metric in COLLECTORS["backups"].metrics}
    assert declared <= set(page.values)
    assert complaints(page.text) == []


def test_promtool_accepts_every_declared_name() -> None:
    page = MetricsPage()
    for kind, collector in COLLECTORS.items():
        series = TargetSeries(stack="shop", target=kind)
        page.add(series, [metric(1, *("x" for _ in metric.labels)) for metric in collector.metrics])
    assert complaints(page.encode(Format.accepted("")).decode()) == []


async def test_page_without_an_inventory_has_only_the_exporters_metrics(start_exporter) -> None:
    exporter = await start_exporter(None)
    assert (await exporter.get("/-/healthy")) == (200, "healthy\n")
    status, reason = await exporter.get("/-/ready")
    assert status == 503
    assert "--config.file" in reason
    page = await exporter.scrape()
    assert page.value("runbook_exporter_build_info") == 1
    assert (await exporter.get("/sd"))[1] == "[]"
    assert (await exporter.get("/metrics?stack=shop")) == (404, "unknown stack 'shop'; there are: none\n")


async def test_series_beyond_the_limit_are_dropped_and_counted(start_exporter, redis_url) -> None:
    queues = {"redis": "main", "names": [f"queue{number}" for number in range(MAX_SERIES + 7)]}
    stack = {"redis": {"main": {"url": redis_url}}, "queues": {"jobs": queues}}
    exporter = await start_exporter(yaml.safe_dump({"stacks": {"shop": stack}}))
    page = await exporter.scrape()
    sizes = {name: len(series) for name, series in page.values.items()}
    assert sizes.pop("bullmq_queue_jobs") == 8 * MAX_SERIES  # the limit counts queues: each keeps all of its states
    assert max(sizes.values()) == MAX_SERIES
    cut = [name for name, size in sizes.items() if size == MAX_SERIES]
    assert page.value("runbook_exporter_dropped_series", collector="queues") >= 7 * len(cut)
    assert page.value("runbook_exporter_dropped_series", collector="redis") == 0
    assert (await exporter.scrape()).values.keys() == page.values.keys()
    _, debug = await exporter.get("/metrics?debug=true&collector=queues")
    (dropped,) = [line for line in debug.splitlines() if line.startswith("  dropped: ")]
    assert "7 of bullmq_queue_paused" in dropped


async def test_samples_of_a_target_are_counted(start_exporter, redis_url) -> None:
    exporter = await start_exporter(TWO.format(redis=redis_url))
    page = await exporter.scrape("?stack=mail")
    own = [series for name, series in page.values.items() if name.startswith("redis_") and name != "redis_up"]
    assert page.value("runbook_exporter_collector_samples", collector="redis") == sum(map(len, own))


# Samples about the reading itself, which are never cached.
ABOUT_THE_READING = {"backup_listing_failed", "backup_last_check_timestamp_seconds", "backup_list_requests_total"}


async def test_metrics_read_in_the_background_say_that_they_are_cached(
    metrics_server, database, redis_url, tmp_path
) -> None:
    write_proven_backups(tmp_path)
    redis = {"main": {"url": redis_url, "prefixes": {"rl:*": {}}}}
    stack = {
        "postgres": {"main": {"dsn": database.dsn("metrics"), "statement_texts": True}},
        "redis": redis,
        "queues": {"jobs": {"redis": "main"}},
        "backups": {"nightly": {"url": f"file://{tmp_path}", "pattern": "db_%Y%m%d.dump"}},
    }
    scraper = Scraper(Inventory.model_validate({"stacks": {"shop": stack}}))
    async with scraper.running():
        outcomes = []
        async with asyncio.timeout(60):
            while not outcomes:
                await scraper.scrape(asyncio.get_running_loop().time() + 5, Selection())
                outcomes = [
                    outcome for each in scraper.targets for lane, outcome in each.outcomes.items() if lane != "scrape"
                ]
                await asyncio.sleep(0.1)
                outcomes = outcomes if all(outcome.reading for outcome in outcomes) else []
    found = {sample.metric for outcome in outcomes for sample in single_samples(outcome.reading.samples)}
    assert len(found) > 20
    silent = {metric.name for metric in found if not metric.help.endswith("Cached.")}
    assert silent <= ABOUT_THE_READING


async def test_page_of_real_targets_is_what_prometheus_client_writes(redis_url) -> None:
    scraper = Scraper(Inventory.model_validate(yaml.safe_load(TWO.format(redis=redis_url))))
    async with scraper.running():
        page = (await scraper.scrape(asyncio.get_running_loop().time() + 5, Selection())).encode(Format.accepted(""))
    assert b"redis_up{" in page
    registry = CollectorRegistry()
    registry.collect = lambda: text_string_to_metric_families(page.decode())
    assert page == Format.accepted("").encode([registry])
