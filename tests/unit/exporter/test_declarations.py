"""The declarations hold together: every file is in the map, every metric is well formed and in the reference."""

import re
from pathlib import Path

import pytest

from exporter import collectors, runner, serving
from exporter.collectors import COLLECTORS
from exporter.metric import Metric
from exporter.runner import TARGET_METRICS
from inventory import Stack

ROOT = Path(__file__).parents[3]
OWN_METRICS = (*runner.OWN_METRICS, *serving.METRICS)
OF_TARGETS = [*TARGET_METRICS, *(metric for collector in COLLECTORS.values() for metric in collector.metrics)]
ALL = [*OWN_METRICS, *OF_TARGETS]
ROW = re.compile(r"^\| `(?P<name>\w+)` \| (?P<type>\w+) \| (?P<labels>[^|]*) \| (?P<help>.*) \|$", re.MULTILINE)


def test_every_file_is_in_the_map_and_every_key_is_a_kind_of_target() -> None:
    files = {file.stem for file in Path(collectors.__file__).parent.glob("*.py")} - {"__init__", "base"}
    assert files == set(COLLECTORS)
    assert set(COLLECTORS) <= set(Stack.model_fields)


def test_every_collector_has_its_up_among_its_metrics() -> None:
    for collector in COLLECTORS.values():
        assert collector.up in collector.metrics


def test_no_name_is_declared_twice() -> None:
    names = [metric.name for metric in ALL]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.name)
def test_a_metric_is_well_formed(metric: Metric) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", metric.name)
    assert metric.name.endswith("_total") == (metric.type == "counter")
    assert metric.help[0].isupper()
    assert metric.help.endswith(".")
    assert not {"stack", "target"} & set(metric.labels) or metric in OWN_METRICS
    if metric.name.endswith("_seconds"):
        assert "seconds" in metric.help.lower()


def test_the_reference_lists_exactly_what_is_exported() -> None:
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    rows = {match["name"]: (match["type"], match["labels"], match["help"]) for match in ROW.finditer(text)}
    expected = {
        metric.name: (
            metric.type,
            ", ".join((() if metric in OWN_METRICS else ("stack", "target")) + metric.labels),
            metric.help,
        )
        for metric in ALL
    }
    assert rows == expected
