"""What the keys of a queue mean."""

from typing import Any

import pytest

from exporter.bullmq import counts_of, ready_since

NOW = 1_000_000.0  # seconds
MILLISECONDS = NOW * 1000


def job(timestamp: float | None, options: str | None = "{}", processed: float | None = None) -> list[str | None]:
    """A job added `timestamp` seconds ago, processed `processed` seconds ago."""
    added = None if timestamp is None else str(int(MILLISECONDS - timestamp * 1000))
    return [added, options, None if processed is None else str(int(MILLISECONDS - processed * 1000))]


@pytest.mark.parametrize(
    ("fields", "age"),
    [
        (job(120), 120),
        (job(120, None), 120),
        (job(120, '{"delay": 100000}'), 20),  # was delayed on purpose for 100 s
        (job(120, '{"delay": 0, "attempts": 3}'), 120),
        (job(120, '{"delay": null}'), 120),
        (job(7200, "{}", processed=30), 30),  # retried: it waits since its last try at most
        (job(120, '{"delay": 100000}', processed=5), 5),
        (job(10, '{"delay": 600000}'), 0),  # promoted before its time
        (job(-5), 0),  # a clock ahead of ours
    ],
)
def test_since_when_a_job_is_ready(fields: list[str | None], age: float) -> None:
    ready = ready_since(fields, NOW)
    assert ready is not None
    assert NOW - ready == pytest.approx(age)


def test_a_job_that_vanished_is_no_job() -> None:
    assert ready_since(job(None, None), NOW) is None


def replies(wait: tuple[int, list[str], list[str]], paused: tuple[int, list[str], list[str]]) -> list[Any]:
    numbers = [wait[0], paused[0], 3, 4, 5, 6, 7, 8]
    return [*numbers, False, wait[1], wait[2], paused[1], paused[2], ["p"]]


def test_counts_and_candidates() -> None:
    counts = counts_of(replies((9, ["9", "8"], ["3", "2", "1"]), (0, [], [])))
    assert counts.jobs == {
        "waiting": 9,
        "paused": 0,
        "active": 3,
        "prioritized": 4,
        "delayed": 5,
        "failed": 6,
        "completed": 7,
        "waiting-children": 8,
    }
    assert counts.candidates == ("9", "8", "3", "2", "1", "p")
    assert counts.waiting == 9 + 4
    assert counts.unfinished == 9 + 3 + 4 + 5 + 6 + 8


@pytest.mark.parametrize(
    ("head", "tail", "length", "waiting", "candidates"),
    [
        (["0:0"], ["0:0"], 1, 0, ("p",)),
        (["2", "1"], ["2", "1", "0:1795245219772"], 3, 2, ("2", "1", "p")),
        (["0:1795245219772.5", "3"], ["3", "2", "0:0"], 4, 2, ("3", "2", "p")),
        ([], [], 0, 0, ("p",)),
    ],
)
def test_markers_are_no_jobs(
    head: list[str], tail: list[str], length: int, waiting: int, candidates: tuple[str, ...]
) -> None:
    counts = counts_of(replies((length, head, tail), (0, [], [])))
    assert counts.jobs["waiting"] == waiting
    assert counts.candidates == candidates
    counts = counts_of(replies((0, [], []), (length, head, tail)))
    assert counts.jobs["paused"] == waiting
