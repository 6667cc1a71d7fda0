"""The unlisted statements are one counter, which never falls when statements enter or leave the list."""

from hypothesis import given
from hypothesis import strategies as st

from exporter.metric import Rows, gauge
from exporter.postgres.other_statements import OtherStatements
from exporter.postgres.parts.top_statements import COSTS, OTHER

CALLS = COSTS.metrics[0]


def reading(listed: dict[str, float], everything: float) -> Rows:
    return Rows((CALLS,), [(("shop", queryid), [value]) for queryid, value in (listed | {OTHER: everything}).items()])


def other(remainder: OtherStatements, listed: dict[str, float], everything: float) -> float:
    [rows] = remainder.with_counters([reading(listed, everything)])
    settled = {sample.labels[1]: sample.value for sample in rows.samples()}
    assert {queryid: value for queryid, value in settled.items() if queryid != OTHER} == listed
    return settled[OTHER]


def test_unlisted_statements_are_counted_from_the_start() -> None:
    remainder = OtherStatements()
    assert other(remainder, {"a": 10}, 15) == 0
    assert other(remainder, {"a": 12}, 20) == 3
    assert other(remainder, {"a": 12}, 20) == 3


def test_statement_that_enters_the_list_does_not_lower_the_counter() -> None:
    remainder = OtherStatements()
    other(remainder, {"a": 10}, 15)
    assert other(remainder, {"a": 10, "b": 6}, 16) == 1  # b had 5 before, and its sixth came while it was unlisted
    assert other(remainder, {"a": 10, "b": 7}, 17) == 1


def test_statement_that_leaves_the_list_adds_only_its_new_calls() -> None:
    remainder = OtherStatements()
    other(remainder, {"a": 10, "b": 5}, 15)
    assert other(remainder, {"a": 10}, 17) == 2


def test_evicted_statements_and_a_reset_do_not_lower_the_counter() -> None:
    remainder = OtherStatements()
    other(remainder, {"a": 10}, 100)
    assert other(remainder, {"a": 10}, 40) == 0
    assert other(remainder, {}, 0) == 0
    assert other(remainder, {"a": 1}, 3) == 3


def test_other_metrics_pass_unchanged() -> None:
    rows = Rows((gauge("pg_up", "Up."),), [((), [1.0])])
    assert list(OtherStatements().with_counters([rows])) == [rows]


@given(st.lists(st.tuples(st.dictionaries(st.sampled_from("abc"), st.integers(0, 50)), st.integers(0, 50)), max_size=8))
def test_counter_of_other_statements_never_falls(readings: list[tuple[dict[str, int], int]]) -> None:
    remainder, before = OtherStatements(), 0.0
    for listed, rest in readings:
        now = other(
            remainder, {name: float(value) for name, value in listed.items()}, float(sum(listed.values()) + rest)
        )
        assert now >= before
        before = now
