"""The pieces of a page read as prometheus_client writes them."""

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge

from runbookd.service.exposition import Format


def test_best_accepted_format_is_chosen() -> None:
    assert Format.accepted("").content_type.startswith("text/plain; version=0.0.4")
    accepted = Format.accepted("application/openmetrics-text;version=1.0.0;q=0.6,text/plain;q=0.5")
    assert accepted.content_type.startswith("application/openmetrics-text; version=1.0.0")


def test_escaping_of_names_is_not_applied() -> None:
    format = Format.accepted("application/openmetrics-text;version=1.0.0;escaping=values")
    assert format == Format.accepted("application/openmetrics-text;version=1.0.0; escaping=dots,text/plain;q=0.1")
    assert format.content_type.endswith("escaping=underscores")


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text;version=1.0.0"])
@pytest.mark.parametrize("kind", [Counter, Gauge])
def test_header_is_that_of_prometheus_client(accept, kind) -> None:
    registry, format = CollectorRegistry(), Format.accepted(accept)
    kind("jobs", 'Jobs "of"\na \\ day.', registry=registry)
    name, type = ("jobs_total", "counter") if kind is Counter else ("jobs", "gauge")
    page = format.encode([registry]).decode()
    assert page.startswith(format.header(name, type, 'Jobs "of"\na \\ day.') + f"{name} 0.0\n")


def test_collectors_share_one_end_of_page() -> None:
    registries = [CollectorRegistry(), CollectorRegistry()]
    for number, registry in enumerate(registries):
        Gauge(f"jobs_{number}", "Jobs.", registry=registry)
    page = Format.accepted("application/openmetrics-text").encode(registries)
    assert page.count(b"# EOF") == 1
    assert page.index(b"jobs_0") < page.index(b"jobs_1")
