"""Declarations are consistent: each collector is in the map, each metric is well formed and in the reference."""

import re
from pathlib import Path

import pytest

import exporter
from exporter.collectors import COLLECTORS
from exporter.metric import Metric
from exporter.postgres import user_queries
from exporter.scheduling import job_lane
from exporter.scrape import TARGET_METRICS
from runbookd.inventory import Stack, annotations_by_key
from tools.docs.metrics_tables import FOLDER, OWN_METRICS, metrics_pages

ROOT = Path(__file__).parents[3]
OF_JOBS = [*job_lane.METRICS, *user_queries.METRICS]
OF_TARGETS = [*TARGET_METRICS, *OF_JOBS, *(metric for collector in COLLECTORS.values() for metric in collector.metrics)]
ALL = [*OWN_METRICS, *OF_TARGETS]
ROW = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)


def test_map_lists_every_collector_under_an_inventory_key() -> None:
    folders = {
        f"exporter.{file.parent.name}.collector" for file in Path(exporter.__file__).parent.glob("*/collector.py")
    }
    assert folders == {collector.__module__ for collector in COLLECTORS.values()}, "add it to exporter/collectors.py"
    assert set(COLLECTORS) <= set(annotations_by_key(Stack)), "add its key to Stack in runbookd/inventory/model.py"


def test_every_kind_is_tested_against_a_server_of_its_own() -> None:
    folders = {file.parent.name for file in (ROOT / "exporter").glob("*/collector.py")}
    tested = {file.parent.name for file in (ROOT / "tests/integration/exporter").glob("*/test_collector.py")}
    assert folders - tested == set(), "add tests/integration/exporter/KIND/test_collector.py"


def test_every_collector_declares_its_up_metric() -> None:
    for collector in COLLECTORS.values():
        assert collector.up in collector.metrics


def test_metric_names_are_unique() -> None:
    names = [metric.name for metric in ALL]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.name)
def test_metric_is_well_formed(metric: Metric) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", metric.name)
    assert metric.name.endswith("_total") == (metric.type == "counter")
    assert metric.help[0].isupper()
    assert metric.help.endswith(".")
    assert not {"stack", "target"} & set(metric.labels) or metric in OWN_METRICS
    if metric.name.endswith("_seconds"):
        assert "seconds" in metric.help.lower()


def test_reference_equals_the_declarations() -> None:
    for file, text in metrics_pages():
        assert file.read_text(encoding="utf-8") == text, f"run make docs: {file.name}"


def test_reference_has_every_metric_and_links_every_page() -> None:
    pages = {file.name: text for file, text in metrics_pages()}
    assert sorted(ROW.findall("".join(pages.values()))) == sorted(metric.name for metric in ALL)
    index = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\(metrics/(.+?)\)", index))
    assert linked == {*pages, "remediator.md"}, "add its row to docs/reference/metrics.md"
    assert linked == {file.name for file in FOLDER.iterdir()}
