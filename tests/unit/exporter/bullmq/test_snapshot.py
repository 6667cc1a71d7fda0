"""Redis' replies become the snapshot of a queue."""

import pytest

from exporter.bullmq import Queue
from exporter.bullmq.snapshot import FIXED, fill_times, snapshot_commands, snapshot_of
from exporter.redis.connection import pack_commands
from tests.unit.exporter.bullmq.replies import replies

TEN = [b"%d" % number for number in range(10, 0, -1)]


def test_snapshot_has_one_reply_per_command() -> None:
    assert (
        len(snapshot_commands(Queue("q", "bull:q"), [0, 5], 1, 3))
        == FIXED + 2
        == len(replies(prioritized={b"1": 1, b"2": 2}))
    )


def test_candidates_are_list_ends_and_the_first_job_per_priority() -> None:
    found = snapshot_of(replies(wait=TEN, paused=[b"p2", b"p1"], prioritized={b"a": 1, b"b": 20}, failed=4))
    assert found.waiting_ids == (b"10", b"3", b"2", b"1", b"p2", b"p1", b"a", b"b")
    assert found.levels == (1, 20)
    assert found.next_job == b"1"
    assert found.waiting == 14
    assert found.unfinished_jobs == 18


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ({"paused": [b"p2", b"p1"], "prioritized": {b"a": 1}}, b"p1"),
        ({"prioritized": {b"a": 1, b"b": 2}}, b"a"),
        ({"wait": [b"0:0"], "prioritized": {b"a": 1}}, b"a"),
        ({}, None),
    ],
)
def test_next_job_comes_from_a_list_before_the_priorities(lists, expected: bytes | None) -> None:
    assert snapshot_of(replies(**lists)).next_job == expected


@pytest.mark.parametrize("name", ["wait", "paused"])
@pytest.mark.parametrize(
    ("entries", "jobs", "ids"),
    [
        ([b"0:0"], 0, ()),
        ([b"2", b"1", b"0:1795245219772"], 2, (b"2", b"1")),
        ([b"0:1795245219772.5", b"3", b"2", b"0:0"], 2, (b"3", b"2")),
        ([], 0, ()),
    ],
)
def test_markers_are_not_counted_as_jobs(name: str, entries: list[bytes], jobs: int, ids: tuple[bytes, ...]) -> None:
    found = snapshot_of(replies(**{name: entries}))
    assert found.jobs["waiting" if name == "wait" else "paused"] == jobs
    assert found.waiting_ids == ids


@pytest.mark.parametrize(
    ("parts", "version"),
    [
        ({"meta": (None, b"bullmq:6.7.0", None, None), "marker": 1}, "6.7.0"),
        ({"marker": 1, "texts": (None, None, None, b"4")}, "5"),
        ({"texts": (None, None, None, b"4")}, "4"),
        ({"prioritized": {b"1": 1}}, "4"),
        ({"wait": TEN}, ""),
    ],
)
def test_version_is_inferred_from_the_replies(parts, version: str) -> None:
    assert snapshot_of(replies(**parts)).version == version


def test_settings_and_counters_are_parsed() -> None:
    found = snapshot_of(replies(meta=(b"1", None, b"8", b"100"), texts=(b"12", b"1795245219769", b"3", None)))
    assert (found.paused, found.concurrency, found.limit) == (True, 8, 100)
    assert (found.added, found.stalled_check, found.started_in_limit) == (12, 1795245219.769, 3)


@pytest.mark.parametrize("digits", [21, 309, 4300, 5000])
def test_number_beyond_a_counter_is_ignored(digits: int) -> None:
    long = b"9" * digits
    found = snapshot_of(replies(meta=(None, None, long, long), texts=(long, None, long, None), failed=4))
    assert (found.concurrency, found.limit, found.added, found.started_in_limit) == (None,) * 4
    assert found.jobs["failed"] == 4


def test_smallest_64_bit_counter_is_parsed() -> None:
    assert snapshot_of(replies(texts=(b"-9223372036854775808", None, None, None))).added == -(1 << 63)


def test_infinite_priority_is_not_a_level() -> None:
    answers = replies(prioritized={b"a": 1, b"b": 2})
    answers[-1] = [b"b", b"inf"]
    found = snapshot_of(answers)
    assert found.levels == (1,)
    assert found.waiting_ids == (b"a", b"b")


def test_times_are_filled_in_without_changing_the_length() -> None:
    request = pack_commands(snapshot_commands(Queue("q", "bull:q"), [0], 1, 3))
    filled = fill_times(request, 1_795_245_219.7724)
    assert len(filled) == len(request)
    assert b"$16\r\n7353324419987456\r\n" not in filled
    assert b"$16\r\n%d\r\n" % (1_795_245_219_772 * 4096) in filled
    assert b"$13\r\n1795241619772\r\n" in filled
    assert b"$13\r\n1795245159772\r\n" in filled
    assert b"<" not in filled
