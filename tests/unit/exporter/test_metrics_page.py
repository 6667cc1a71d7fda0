"""The page has each metric once and each series once, and reads as prometheus_client would write it."""

from math import inf, nan

import pytest
from hypothesis import example, given
from hypothesis import strategies as some
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families

from exporter.metric import Metric, Sample, counter, gauge
from exporter.metrics_page import MetricsPage
from exporter.series import MAX_SERIES, TargetSeries
from runbookd.service.exposition import Format

JOBS = gauge("jobs", "Jobs.", "queue")
HITS = counter("hits_total", "Hits.")
TEXT = Format.accepted("")
OPENMETRICS = "application/openmetrics-text;version=1.0.0"
ACCEPTED = (
    "",
    OPENMETRICS,
    f"{OPENMETRICS};escaping=allow-utf-8",
    f"{OPENMETRICS};escaping=values",
    "text/plain;version=1.0.0;escaping=allow-utf-8",
)


def target(name: str = "main") -> TargetSeries:
    return TargetSeries(stack="shop", target=name)


def text_of(samples: list[Sample], series: TargetSeries | None = None) -> str:
    page = MetricsPage()
    page.add(series or target(), samples)
    return page.encode(TEXT).decode()


def peer_family(metric: Metric, *samples: tuple[tuple[str, ...], float]) -> GaugeMetricFamily | CounterMetricFamily:
    kind = CounterMetricFamily if metric.type == "counter" else GaugeMetricFamily
    family = kind(metric.name, metric.help, labels=("stack", "target", *metric.labels))
    for labels, value in samples:
        family.add_metric(("shop", "main", *labels), value)
    return family


def peer_page(format: Format, *families: GaugeMetricFamily | CounterMetricFamily) -> bytes:
    registry = CollectorRegistry()
    registry.collect = lambda: families
    return format.encode([registry])


def test_targets_share_the_header_of_a_metric() -> None:
    page = MetricsPage()
    page.add(target("main"), [JOBS(1, "mail"), HITS(5)])
    page.add(target("other"), [JOBS(2, "mail")])
    assert page.encode(TEXT).decode() == (
        "# HELP jobs Jobs.\n"
        "# TYPE jobs gauge\n"
        'jobs{queue="mail",stack="shop",target="main"} 1.0\n'
        'jobs{queue="mail",stack="shop",target="other"} 2.0\n'
        "# HELP hits_total Hits.\n"
        "# TYPE hits_total counter\n"
        'hits_total{stack="shop",target="main"} 5.0\n'
    )


def test_duplicate_series_is_dropped_and_counted() -> None:
    page = MetricsPage()
    assert page.add(target(), [JOBS(1, "mail"), JOBS(2, "mail")]) == {"jobs": 1}
    assert page.encode(TEXT).decode().count("\njobs{") == 1
    assert "} 1.0" in page.encode(TEXT).decode()


def test_names_that_differ_only_in_unencodable_bytes_are_one_series() -> None:
    page, series = MetricsPage(), target()
    for _ in range(2):  # the second scrape knows the series
        page = MetricsPage()
        assert page.add(series, [JOBS(1, "\udcfe"), JOBS(1, "\udcff")]) == {"jobs": 1}
    assert 'queue="?"' in page.encode(TEXT).decode()


def test_collectors_of_prometheus_client_follow() -> None:
    registry = CollectorRegistry()
    Counter("cups", "Cups.", registry=registry)
    assert b"cups_total 0.0\n" in MetricsPage([registry]).encode(TEXT)


numbers = some.floats() | some.floats(1e5, 1e17) | some.sampled_from([0.0, -0.0, nan, inf, -inf, 1e6, 1e16, 999999.5])
texts = some.text(some.characters() | some.sampled_from('\\"\n\ud800\udcff\0\r%{}=,'), max_size=8)


@given(some.lists(some.tuples(numbers, numbers), min_size=1, max_size=5), texts)
@example([(0.0, -0.0), (-0.0, 0.0), (nan, nan), (9_999_999_999_999_999.0, 1.0)], "mail")
def test_every_scrape_equals_the_page_of_prometheus_client(values, prefix) -> None:
    """The second scrape formats only the values that changed. It writes -0 as 0, which Prometheus takes as equal."""
    series, rates = target(), counter("rates_total", 'Rates of "jobs"\n and \\.', "queue", "b", "zone")
    names = [(f"{prefix}{number}", "b", "z") for number in range(len(values))]
    clean = [tuple(each.encode("utf-8", "replace").decode() for each in labels) for labels in names]
    for scrape in (0, 1):
        page = MetricsPage()
        samples = [Sample(rates, labels, pair[scrape]) for labels, pair in zip(names, values, strict=True)]
        page.add(series, [*samples, HITS(scrape)])
        pairs = [(labels, pair[scrape] or 0.0) for labels, pair in zip(clean, values, strict=True)]  # -0 reads as 0
        for format in map(Format.accepted, ACCEPTED):
            peers = peer_family(rates, *pairs), peer_family(HITS, ((), scrape))
            assert page.encode(format) == peer_page(format, *peers), format


@given(texts)
def test_every_label_value_survives_the_page(label) -> None:
    (family,) = text_string_to_metric_families(text_of([JOBS(1, label), JOBS(2, "mail!" + label)]))
    expected = label.encode("utf-8", "replace").decode()
    assert [sample.labels["queue"] for sample in family.samples] == [expected, "mail!" + expected]


def test_series_of_an_earlier_scrape_disappears_with_its_sample() -> None:
    series = target()
    text_of([JOBS(1, "mail"), JOBS(1, "sms"), HITS(1)], series)
    assert "sms" not in text_of([JOBS(1, "mail")], series)
    assert "hits" not in text_of([JOBS(1, "mail")], series)
    assert [len(each.known) for each in series.metrics.values()] == [1]


def test_metric_that_changes_its_labels_gets_new_series() -> None:
    series = target()
    text_of([JOBS(1, "mail")], series)
    assert 'jobs{kind="mail",stack="shop",target="main"} 1.0' in text_of(
        [gauge("jobs", "Jobs.", "kind")(1, "mail")], series
    )


def values(text: str) -> dict[str, float]:
    (family,) = text_string_to_metric_families(text)
    return {sample.labels["queue"]: sample.value for sample in family.samples}


@pytest.mark.parametrize("order", [1, -1])
def test_metric_above_the_limit_keeps_its_largest_values(order) -> None:
    page, samples = MetricsPage(), [JOBS(number, f"queue{number}") for number in range(MAX_SERIES + 5)][::order]
    assert page.add(target(), samples) == {"jobs": 5}
    expected = {f"queue{number}": number for number in range(5, MAX_SERIES + 5)}
    assert values(page.encode(TEXT).decode()) == expected


@pytest.mark.parametrize("order", [1, -1])
def test_equal_values_are_kept_by_name_and_nan_is_dropped_first(order) -> None:
    page = MetricsPage()
    samples = [JOBS(1, f"queue{number:04}") for number in range(MAX_SERIES)] + [JOBS(nan, "a"), JOBS(nan, "b")]
    samples.append(JOBS(2, "z"))
    assert page.add(target(), samples[::order]) == {"jobs": 3}
    expected = {"z": 2} | {f"queue{number:04}": 1 for number in range(MAX_SERIES - 1)}
    assert values(page.encode(TEXT).decode()) == expected


def test_limit_applies_per_target_and_metric() -> None:
    page, full = MetricsPage(), [JOBS(1, str(number)) for number in range(MAX_SERIES)]
    assert page.add(target("main"), [*full, HITS(1)]) == {}
    assert page.add(target("other"), full) == {}
    assert page.encode(TEXT).decode().count("\njobs{") == 2 * MAX_SERIES


def test_metric_with_several_parts_has_the_limit_for_each() -> None:
    page, states = MetricsPage(), gauge("states", "States.", "queue", "state", parts=2)
    samples = [states(1, str(number), state) for number in range(MAX_SERIES) for state in "ab"]
    assert page.add(target("main"), samples) == {}
    assert page.add(target("other"), [*samples, states(0, "more", "a")]) == {"states": 1}


def test_duplicates_do_not_count_toward_the_limit() -> None:
    page, samples = MetricsPage(), [JOBS(number, str(number)) for number in range(MAX_SERIES)]
    assert page.add(target(), [*samples, *samples]) == {"jobs": MAX_SERIES}
    assert page.encode(TEXT).decode().count("\njobs{") == MAX_SERIES


def test_number_beyond_float_is_refused_where_it_is_read() -> None:
    with pytest.raises(OverflowError):
        JOBS(10**400, "mail")
