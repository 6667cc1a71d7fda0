"""The tracker remembers a queue between readings, and chooses the jobs to read."""

import re
from typing import Any

import pytest
from redis.exceptions import ResponseError

from exporter.bullmq import Queue
from exporter.bullmq.ages import Ages
from exporter.bullmq.queue_tracker import QueueTracker
from exporter.bullmq.request_plan import MOST_LEVELS
from exporter.bullmq.snapshot import PRIORITY, QueueSnapshot
from tests.unit.exporter.bullmq.replies import QueueContents

NOW = 1_000_000.0


def job_fields(
    added: float, started: float | None = None, tries: int | None = None, options: bytes = b"{}"
) -> list[Any]:
    """Return the fields of a job added at this time."""
    times = [None if point is None else b"%d" % int(point * 1000) for point in (added, started)]
    return [times[0], options, times[1], None, None if tries is None else b"%d" % tries]


class TrackedQueue:
    """A queue with jobs' hashes, read by one tracker."""

    def __init__(self) -> None:
        self.tracker = QueueTracker(Queue("q", "bull:q"))
        self.jobs: dict[bytes, list[Any]] = {}
        self.requested_jobs: set[bytes] = set()

    def read(self, now: float = NOW, **lists: Any) -> Ages:
        snapshot = snapshot_of_queue(self.tracker, now, **lists)
        request, count = self.tracker.ages.request(snapshot, with_locks=True)
        self.requested_jobs = {
            line[len(b"bull:q:") :] for line in request.split(b"\r\n") if line.startswith(b"bull:q:")
        }
        hashes = [self.jobs.get(job, [None] * 5) for job in self.tracker.ages._requested_jobs]
        assert count == len(hashes)
        return self.tracker.ages.read(snapshot, hashes, now)


def snapshot_of_queue(tracker: QueueTracker, now: float = NOW, **contents: Any) -> QueueSnapshot:
    """Answer the request of a tracker as a queue with these contents does."""
    request, _ = tracker.request(slow=True)
    snapshot = tracker.snapshot(QueueContents(**contents).answers(request), now)
    assert snapshot is not None
    return snapshot


def job_ids(*numbers: int) -> list[bytes]:
    return [b"%d" % number for number in numbers]


def test_first_reading_samples_more_jobs() -> None:
    server = TrackedQueue()
    server.jobs = {b"%d" % number: job_fields(NOW - number) for number in range(1, 41)}
    assert server.read(wait=job_ids(1, 2, 3, 40, *range(4, 40))).waiting == 40
    assert len(server.requested_jobs) == 40


def test_oldest_job_in_the_middle_is_remembered_until_it_starts() -> None:
    server = TrackedQueue()
    server.jobs = {b"%d" % number: job_fields(NOW - number) for number in range(1, 41)}
    jobs = job_ids(1, 2, 3, 40, *range(4, 40))
    server.read(wait=jobs)
    assert server.read(NOW + 10, wait=[b"0", *jobs]).waiting == 50
    assert b"40" in server.requested_jobs
    server.jobs[b"40"] = job_fields(NOW - 40, started=NOW + 15, tries=1)
    jobs.remove(b"40")
    assert server.read(NOW + 20, wait=[b"00", b"0", *jobs]).waiting == 59  # 39 stands at the end
    assert b"40" not in server.requested_jobs or server.read(NOW + 30, wait=jobs).waiting == 69


def test_lifo_jobs_do_not_hide_an_older_known_job() -> None:
    server = TrackedQueue()
    server.jobs = {b"1": job_fields(NOW - 100)}
    server.read(wait=[b"1"])
    for number in range(2, 12):
        server.jobs[b"%d" % number] = job_fields(NOW + number)
        jobs = job_ids(1, *range(2, number + 1))
        assert server.read(NOW + number, wait=jobs).waiting == 100 + number


def test_priority_levels_are_remembered_up_to_the_limit() -> None:
    tracker = QueueTracker(Queue("q", "bull:q"))

    def points() -> list[bytes]:
        """Return the scores from which on the next scrape reads the first job."""
        return re.findall(rb"(\d+)\r\n\$4\r\n\+inf", tracker.request(slow=False)[0])

    snapshot_of_queue(tracker, prioritized={b"a": 3, b"b": 70}, jobs_of_a_level=9)
    assert points() == [b"0", *(b"%d" % (level * PRIORITY) for level in (4, 71))]
    snapshot_of_queue(tracker, prioritized={b"a": 3}, jobs_of_a_level=9)
    assert b"%d" % (71 * PRIORITY) in points(), "levels come and go"
    snapshot_of_queue(tracker, prioritized={b"%d" % level: level for level in range(1, 60)}, jobs_of_a_level=9)
    assert len(points()) <= MOST_LEVELS


def test_few_prioritized_jobs_are_read_as_a_whole() -> None:
    tracker = QueueTracker(Queue("q", "bull:q"))
    snapshot_of_queue(tracker)
    snapshot = snapshot_of_queue(tracker, prioritized={b"a": 1, b"b": 1, b"c": 5})
    assert snapshot.jobs["prioritized"] == 3
    assert snapshot.waiting_ids == (b"a", b"c")
    assert b"ZRANGEBYSCORE" not in tracker.request(slow=False)[0]


def test_idle_queue_costs_few_commands() -> None:
    server = TrackedQueue()
    server.jobs = {b"%d" % number: job_fields(NOW - number) for number in range(1, 41)}
    for _ in range(4):
        server.read(wait=job_ids(*range(1, 41)), failed=5, completed=5)
    first_trip = server.tracker.request(slow=False)[1]
    assert first_trip <= 15
    assert len(server.requested_jobs) <= 2


def test_unknown_age_counts_from_the_first_reading() -> None:
    server = TrackedQueue()
    server.jobs = {b"1": job_fields(NOW - 5000, tries=3)}  # retried by hand
    assert server.read(NOW, wait=[b"1"]).waiting == 0
    assert server.read(NOW + 15, wait=[b"1"]).waiting == 15
    server.jobs[b"1"] = job_fields(NOW - 5000, tries=4)
    server.read(NOW + 20)
    assert server.read(NOW + 30, wait=[b"1"]).waiting == 0
    assert server.read(NOW + 40, wait=[b"1", b"2"]).waiting == 10


def test_promoted_job_keeps_its_age_when_its_delay_ends() -> None:
    server = TrackedQueue()
    server.jobs = {b"1": job_fields(NOW, options=b'{"delay":60000}')}
    ages = [server.read(NOW + second, wait=[b"1"], failed=second).waiting for second in (0, 59, 61, 100)]
    assert ages == [0, 59, 61, 100]


def test_vanished_job_has_no_age_and_an_empty_queue_has_age_zero() -> None:
    server = TrackedQueue()
    assert server.read(wait=[b"1"]).waiting is None
    assert server.read().waiting == 0


@pytest.mark.parametrize(
    "odd",
    [
        job_fields(NOW - 100, NOW - 50, 10**9, b'{"backoff":{"type":"exponential","delay":1000}}'),
        job_fields(NOW - 100, options=b'{"delay":1%s}' % (b"0" * 400)),
        job_fields(NOW - 100, options=b'{"delay":%s' % (b"[" * 100_000)),
        [b"soon", None, None, None, None],
        [b"-inf", None, None, None, None],
        ResponseError("WRONGTYPE"),
    ],
    ids=["tries", "delay", "nesting", "no number", "no date", "no hash"],
)
def test_malformed_job_loses_only_its_own_age(odd) -> None:
    server = TrackedQueue()
    server.jobs = {b"1": job_fields(NOW - 100), b"2": odd}
    assert server.read(wait=[b"2", b"1"]).waiting == 100
    server.jobs[b"3"] = job_fields(NOW - 5000, tries=3)  # its first reading is remembered
    server.read(wait=[b"3", b"2", b"1"], failed=1)
    assert server.read(NOW + 10, wait=[b"3", b"2", b"1"], failed=2).waiting == 110


@pytest.mark.parametrize("odd", [b"soon", b"nan", b"-inf"])
def test_malformed_active_job_loses_only_its_own_age(odd: bytes) -> None:
    tracker = QueueTracker(Queue("q", "bull:q"))
    snapshot_of_queue(tracker)  # the first reading requests more jobs
    snapshot = snapshot_of_queue(tracker, wait=[b"9"], held=[b"2", b"1"])
    tracker.ages.request(snapshot, with_locks=True)
    started, locks = [odd, b"%d" % int((NOW - 9) * 1000)], [b"lock", None]
    assert tracker.ages.read(snapshot, [job_fields(NOW - 7), *started, locks, [b"2", b"1"]], NOW) == (7, 9, 1)
    refused = [ResponseError("NOPERM"), []]
    assert tracker.ages.read(snapshot, [job_fields(NOW - 7), *started, *refused], NOW) == (7, 9, None)


def test_head_age_counts_from_its_last_change() -> None:
    tracker = QueueTracker(Queue("q", "bull:q"))
    seen = []
    for second, wait in enumerate(([], [b"1"], [b"2", b"1"], [b"2"], [b"2"], [])):
        snapshot = snapshot_of_queue(tracker, wait=wait)
        seen.append(tracker.head_unchanged(snapshot, NOW + second))
    assert seen == [0, 0, 1, 0, 1, 0]


def test_last_stalled_check_outlives_its_key() -> None:
    tracker = QueueTracker(Queue("q", "bull:q"))
    seen = []
    for check in (None, b"5000", None, b"inf", b"7000"):
        snapshot = snapshot_of_queue(tracker, texts=(None, check, None, None))
        seen.append(tracker.stalled_check(snapshot))
    assert seen == [None, 5, 5, 5, 7]


def test_job_that_ended_during_the_reading_does_not_count_as_unlocked() -> None:
    tracker = QueueTracker(Queue("q", "bull:q"))
    snapshot = snapshot_of_queue(tracker, held=[b"3", b"2", b"1"])
    _, count = tracker.ages.request(snapshot, with_locks=True)
    assert count == 4
    started = [b"%d" % int((NOW - age) * 1000) for age in (5, 9)]
    assert tracker.ages.read(snapshot, [*started, [b"lock", None, None], [b"3", b"2"]], NOW) == (0, 9, 1)
    assert tracker.ages.read(snapshot, [None, None, [b"lock", None, None], [b"3"]], NOW) == (0, None, 0)
