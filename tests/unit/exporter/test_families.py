"""One family a name, one sample a set of labels, and nothing that a page can not hold."""

from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as some
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.exposition import choose_encoder, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from exporter.families import MAX_SERIES, Families
from exporter.metric import counter, gauge
from runbookd.service.exposition import encode

JOBS = gauge("jobs", "Jobs.", "queue")
HITS = counter("hits_total", "Hits.")


def text(families: Families) -> str:
    return generate_latest(families).decode()


def test_targets_share_a_family() -> None:
    families = Families()
    assert families.add(JOBS(1, "mail"), "shop", "main")
    assert families.add(HITS(5), "shop", "main")
    assert families.add(JOBS(2, "mail"), "shop", "other")
    assert text(families) == (
        "# HELP jobs Jobs.\n"
        "# TYPE jobs gauge\n"
        'jobs{queue="mail",stack="shop",target="main"} 1.0\n'
        'jobs{queue="mail",stack="shop",target="other"} 2.0\n'
        "# HELP hits_total Hits.\n"
        "# TYPE hits_total counter\n"
        'hits_total{stack="shop",target="main"} 5.0\n'
    )


def test_a_duplicate_is_dropped_and_told() -> None:
    families = Families()
    assert families.add(JOBS(1, "mail"), "shop", "main")
    assert not families.add(JOBS(2, "mail"), "shop", "main")
    assert text(families).count("\njobs{") == 1
    assert "} 1.0" in text(families)


def test_label_values_are_escaped_and_never_break_the_encoding() -> None:
    families = Families()
    families.add(JOBS(1, 'a"b\\c\nd\udcff'), "shop", "main")
    assert 'queue="a\\"b\\\\c\\nd?"' in text(families)


def test_what_becomes_the_same_text_counts_as_a_duplicate() -> None:
    families = Families()
    assert families.add(JOBS(1, "\udcfe"), "shop", "main")
    assert not families.add(JOBS(1, "\udcff"), "shop", "main")


def test_other_sources_follow() -> None:
    registry = CollectorRegistry()
    Counter("cups", "Cups.", registry=registry)
    assert "cups_total 0.0\n" in text(Families([registry]))


def values(families: Families) -> dict[str, float]:
    (family,) = families.collect()
    return {sample.labels["queue"]: sample.value for sample in family.samples}


@pytest.mark.parametrize("order", [1, -1])
def test_a_metric_of_a_target_keeps_its_largest_series(order) -> None:
    families = Families()
    samples = [JOBS(number, f"queue{number}") for number in range(MAX_SERIES + 5)][::order]
    assert families.add_all(samples, "shop", "main") == {"jobs": 5}
    assert values(families) == {f"queue{number}": number for number in range(5, MAX_SERIES + 5)}


@pytest.mark.parametrize("order", [1, -1])
def test_equal_values_are_kept_by_their_labels_and_no_number_is_left_out_first(order) -> None:
    families = Families()
    samples = [JOBS(1, f"queue{number:04}") for number in range(MAX_SERIES)] + [JOBS(nan, "a"), JOBS(nan, "b")]
    samples.append(JOBS(2, "z"))
    assert families.add_all(samples[::order], "shop", "main") == {"jobs": 3}
    assert values(families) == {"z": 2} | {f"queue{number:04}": 1 for number in range(MAX_SERIES - 1)}


def test_the_limit_is_each_targets_and_each_metrics() -> None:
    families, full = Families(), [JOBS(1, str(number)) for number in range(MAX_SERIES)]
    assert families.add_all([*full, HITS(1)], "shop", "main") == {}
    assert families.add_all(full, "shop", "other") == {}
    assert text(families).count("\njobs{") == 2 * MAX_SERIES


def test_a_thing_with_several_parts_counts_once() -> None:
    families, states = Families(), gauge("states", "States.", "queue", "state", parts=2)
    samples = [states(1, str(number), state) for number in range(MAX_SERIES) for state in "ab"]
    assert families.add_all(samples, "shop", "main") == {}
    assert families.add_all([*samples, states(0, "more", "a")], "shop", "other") == {"states": 1}


def test_duplicates_take_nobodys_place() -> None:
    families = Families()
    samples = [JOBS(number, str(number)) for number in range(MAX_SERIES)]
    assert families.add_all([*samples, *samples], "shop", "main") == {"jobs": MAX_SERIES}
    assert families.add_all([*samples, JOBS(-1, "new")], "shop", "main") == {"jobs": MAX_SERIES}
    assert text(families).count("\njobs{") == MAX_SERIES + 1


@given(some.text(some.characters() | some.sampled_from('\\"\n\ud800\udcff\0\r'), max_size=8))
def test_no_label_value_breaks_the_page(label) -> None:
    families = Families()
    families.add_all([JOBS(1, label), JOBS(2, "mail!" + label)], "shop", "main")
    for accept in ("", "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8"):
        encoder, _ = choose_encoder(accept)
        page = encode(families, encoder)
        assert page == encoder(families)
        (family,) = text_string_to_metric_families(page.decode().removesuffix("# EOF\n"))
        expected = label.encode("utf-8", "replace").decode()
        assert [sample.labels["queue"] for sample in family.samples] == [expected, "mail!" + expected]


def test_a_number_that_no_page_can_hold_is_refused_where_it_is_read() -> None:
    with pytest.raises(OverflowError):
        JOBS(10**400, "mail")
