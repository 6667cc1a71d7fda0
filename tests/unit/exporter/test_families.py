"""One family a name, one sample a set of labels, and nothing that a page can not hold."""

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.exposition import generate_latest

from exporter.families import Families
from exporter.metric import counter, gauge

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
