"""The page is prometheus_client's to the byte, in every format it speaks, whatever a family holds."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as some
from prometheus_client import CollectorRegistry, Counter, Enum, Histogram, Info, ProcessCollector, Summary
from prometheus_client.core import CounterMetricFamily
from prometheus_client.exposition import choose_encoder, generate_latest
from prometheus_client.metrics_core import METRIC_TYPES, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from runbookd.service.exposition import encode

OPENMETRICS = "application/openmetrics-text;version=1.0.0"
ACCEPTED = (
    "",
    OPENMETRICS,
    f"{OPENMETRICS};escaping=allow-utf-8",
    f"{OPENMETRICS};escaping=dots",
    f"{OPENMETRICS};escaping=values",
    "text/plain;version=1.0.0;escaping=allow-utf-8",
    "text/plain;version=1.0.0;escaping=values",
)


class FixedCollector(Collector):
    def __init__(self, *families: Metric) -> None:
        self.families = families

    def collect(self):
        return self.families


def same_in_all_formats(source: Collector) -> None:
    for accept in ACCEPTED:
        encoder, _ = choose_encoder(accept)
        assert encode(source, encoder) == encoder(source), accept


texts = some.text(some.characters(exclude_categories=["Cs"]) | some.sampled_from('\\"\n\r%{}=,'), max_size=6)
names = some.sampled_from(["jobs", "a", "job:rate", "größe", "a.b", "x_created", "%s", "x_gcount"])
label_names = some.sampled_from(["queue", "stack", "target", "a.b", "__x", "ü", "%d", "le"])
numbers = some.floats() | some.integers(-(10**18), 10**18) | some.booleans() | some.sampled_from([1e6, 1e16, 999999.5])


@some.composite
def families(draw):
    family = Metric(draw(names), draw(texts), draw(some.sampled_from(METRIC_TYPES)), draw(some.sampled_from(["", "s"])))
    suffixes = draw(some.sampled_from([[""], ["_total"], ["_created"], ["_bucket", "_count", "_sum", "_gsum"]]))
    labels = draw(some.lists(label_names, unique=True, max_size=4))
    others = some.dictionaries(label_names, texts, max_size=3)
    same = some.fixed_dictionaries(dict.fromkeys(labels, texts))
    sets = draw(some.lists(draw(some.sampled_from([same, same, others])), max_size=6))
    times = draw(some.sampled_from([some.none(), some.none(), some.none() | some.floats(0, 1e10)]))
    for each in sets:
        family.add_sample(family.name + draw(some.sampled_from(suffixes)), each, draw(numbers), draw(times))
    return family


@given(some.lists(families(), max_size=3))
def test_made_up_pages(page) -> None:
    same_in_all_formats(FixedCollector(*page))


@given(some.lists(numbers | some.floats(1e5, 1e17), min_size=1))
@example([9_999_999_999_999_999])
@example([0.0, -0.0, float("nan"), float("inf"), float("-inf"), -1e6, -1e16, 1e16, 1e-5, 1e300])
def test_numbers(values) -> None:
    family = Metric("number", "Number.", "gauge")
    for place, value in enumerate(values):
        family.add_sample("number", {"place": str(place)}, value)
    same_in_all_formats(FixedCollector(family))


@given(texts)
@example('a"b\\c\nd')
@example("\\n")
def test_label_values_beside_harmless_ones(text) -> None:
    family = Metric("jobs", "Jobs.", "gauge")
    for queue in ("mail", text, "sms"):
        family.add_sample("jobs", {"queue": queue, "stack": "shop"}, 1)
    same_in_all_formats(FixedCollector(family))


def test_what_a_program_counts_itself() -> None:
    registry = CollectorRegistry()
    Counter("cups", "Cups.", ["kind"], registry=registry).labels('"black"').inc(3)
    Histogram("wait_seconds", "Wait.", registry=registry).observe(2)
    Summary("size_bytes", "Size.", ["kind"], registry=registry).labels("big").observe(2e9)
    Info("build", "Build.", registry=registry).info({"version": "1"})
    Enum("state", "State.", states=["up", "down"], registry=registry).state("up")
    same_in_all_formats(registry)


def test_the_process() -> None:
    families = tuple(ProcessCollector(registry=None).collect())  # read once: the next reading would differ
    assert families
    same_in_all_formats(FixedCollector(*families))


def test_exemplars() -> None:
    family = CounterMetricFamily("jobs", "Jobs.", labels=["queue"])
    family.add_metric(["mail"], 1)
    family.add_metric(["sms"], 2, exemplar=Exemplar({"trace": "1"}, 1.0))
    same_in_all_formats(FixedCollector(family))


def test_a_large_family_is_left_to_prometheus_client_for_its_first_sample_only() -> None:
    family = Metric("jobs", "Jobs.", "gauge")
    for queue in range(1000):
        family.add_sample("jobs", {"target": "main", "queue": f"{queue}"}, queue)
    asked = []

    def encoder(source: Collector) -> bytes:
        asked.extend(len(each.samples) for each in source.collect())
        return generate_latest(source)

    assert encode(FixedCollector(family), encoder) == generate_latest(FixedCollector(family))
    assert asked == [1]


def test_a_value_that_is_no_number_fails_as_it_does_there() -> None:
    family = Metric("jobs", "Jobs.", "gauge")
    family.add_sample("jobs", {}, "many")
    for encoder in (generate_latest, lambda page: encode(page, generate_latest)):
        with pytest.raises((TypeError, ValueError)):
            encoder(FixedCollector(family))
