"""Every reason names a query or a panel that exists, and says why in a sentence."""

from tests.dashboards.boards import dashboard_queries
from tests.dashboards.empty_in_demo import NO_LIMIT, always_empty, panels_that_may_be_empty, reason_to_be_empty

QUERIES = dashboard_queries()


def test_every_reason_names_an_existing_query_or_panel() -> None:
    places = {query.place for query in QUERIES} | {f"*{query.place[query.place.index('/') :]}" for query in QUERIES}
    assert set(always_empty()) - places == set()
    assert set(panels_that_may_be_empty()) - {f"{query.board}/{query.title}" for query in QUERIES} == set()


def test_every_reason_is_a_sentence() -> None:
    for reason in (*always_empty().values(), *panels_that_may_be_empty().values()):
        assert reason[0].isupper(), reason
        assert reason.endswith("."), reason


def test_no_query_of_limits_is_listed() -> None:
    assert [place for place in always_empty() if place.endswith("/LIMIT")] == []


def test_query_of_limits_may_be_empty_only_without_a_number_in_the_demo() -> None:
    limits = {query.place: query for query in QUERIES if query.ref == "LIMIT"}
    assert reason_to_be_empty(limits["postgres/Transaction id age/LIMIT"]) == NO_LIMIT
    assert reason_to_be_empty(limits["queue-metrics/Failed jobs/LIMIT"]) == ""


def test_most_queries_must_have_data() -> None:
    without_a_reason = [query for query in QUERIES if not reason_to_be_empty(query)]
    assert len(without_a_reason) > len(QUERIES) / 2
