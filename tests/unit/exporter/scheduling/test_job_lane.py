"""Jobs share one session in turn; each has its own samples, error and time of success."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from exporter.errors import TargetRefused, TargetUnavailable
from exporter.job import Job, Jobs
from exporter.metric import Sample, gauge
from exporter.scheduling import job_lane
from exporter.scheduling.job_lane import JobLane

FOUND = gauge("found", "Found. Cached.")
JobFunction = Callable[["FakeSession", float], Awaitable[Sequence[Sample]]]


class FakeSession:
    """A session that records the jobs that use it."""

    def __init__(self) -> None:
        self.used_by: list[str] = []
        self.closed = 0

    async def close(self) -> None:
        self.closed += 1


class LaneHarness:
    """A lane of test jobs, with the sessions that it opened."""

    def __init__(self) -> None:
        self.sessions: list[FakeSession] = []

    def session(self) -> FakeSession:
        self.sessions.append(FakeSession())
        return self.sessions[-1]

    def job(self, name: str, run: JobFunction, refresh: float = 3600.0, timeout: float = 60.0) -> Job[FakeSession]:
        async def recording_run(session: FakeSession, until: float) -> Sequence[Sample]:
            session.used_by.append(name)
            return await run(session, until)

        return Job(name, timedelta(seconds=refresh), timedelta(seconds=timeout), recording_run, (FOUND,), 1)

    @asynccontextmanager
    async def lane(self, *jobs: Job[FakeSession]) -> AsyncIterator[JobLane]:
        lane = JobLane(Jobs(self.session, jobs), "shop/postgres/main", "postgres")
        lane.start()
        try:
            yield lane
        finally:
            await lane.close()


@pytest.fixture
def harness() -> LaneHarness:
    return LaneHarness()


async def succeeds(_: FakeSession, __: float) -> Sequence[Sample]:
    return [FOUND(1)]


def fails(error: Exception) -> JobFunction:
    async def run(_: FakeSession, __: float) -> Sequence[Sample]:
        raise error

    return run


async def hangs(_: FakeSession, __: float) -> Sequence[Sample]:
    await asyncio.sleep(600)
    return []


def failure_reasons(lane: JobLane) -> dict[str, str]:
    return {
        name.removeprefix("job "): each.failure.reason if each.failure else "" for name, each in lane.outcomes.items()
    }


async def wait_until(done: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not done():  # noqa: ASYNC110 - the lane has no event to wait for
            await asyncio.sleep(0.005)


async def test_failed_job_does_not_affect_the_others_or_leak_its_message(harness: LaneHarness) -> None:
    wrong, odd = fails(TargetRefused("no such table")), fails(KeyError("hunter2"))
    async with harness.lane(harness.job("a", wrong), harness.job("b", odd), harness.job("c", succeeds)) as lane:
        await wait_until(lambda: failure_reasons(lane)["c"] == "")
        assert failure_reasons(lane)["a"] == "no such table"
        assert failure_reasons(lane)["b"].startswith("unexpected KeyError at test_job_lane.py:")
        succeeded = {sample.labels[1]: sample.value for sample in lane.samples() if sample.metric is job_lane.SUCCESS}
        assert succeeded == {"a": False, "b": False, "c": True}
        assert [sample.labels[1] for sample in lane.samples() if sample.metric is job_lane.LAST_SUCCESS] == ["c"]
    assert [session.used_by for session in harness.sessions] == [["a", "b", "c"]]


async def test_hanging_job_is_ended_and_the_next_one_runs(
    harness: LaneHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_lane, "GRACE_SECONDS", 0.05)
    async with harness.lane(harness.job("a", hangs, timeout=0.1), harness.job("b", succeeds)) as lane:
        await wait_until(lambda: failure_reasons(lane)["b"] == "")
        assert failure_reasons(lane)["a"] == "no answer before the deadline"


async def test_unavailable_target_is_tried_once_per_turn(harness: LaneHarness) -> None:
    gone = fails(TargetUnavailable("refused"))
    async with harness.lane(harness.job("a", gone), harness.job("b", succeeds)) as lane:
        await wait_until(lambda: harness.sessions and harness.sessions[0].closed)
        assert (
            failure_reasons(lane)["a"]
            == failure_reasons(lane)["b"]
            == "refused; check the address, and that the server is up"
        )
    assert harness.sessions[0].used_by == ["a"]


async def test_last_reading_stays_after_a_failure(harness: LaneHarness) -> None:
    answers: list[Exception | None] = [None, TargetRefused("gone")]

    async def run(_: FakeSession, __: float) -> Sequence[Sample]:
        if answers and (error := answers.pop(0)) is not None:
            raise error
        return [FOUND(7)]

    async with harness.lane(harness.job("a", run, refresh=0.05)) as lane:
        await wait_until(lambda: failure_reasons(lane)["a"] == "gone")
        reading = lane.outcomes["job a"].reading
        assert reading is not None
        assert reading.samples == (FOUND(7),)
        assert job_lane.LAST_SUCCESS in {sample.metric for sample in lane.samples()}
        await wait_until(lambda: failure_reasons(lane)["a"] == "")


async def test_job_runs_only_when_due_and_the_session_closes_in_between(harness: LaneHarness) -> None:
    async with harness.lane(harness.job("often", succeeds, refresh=0.02), harness.job("once", succeeds)):
        await wait_until(lambda: len(harness.sessions) > 5)
    used = [name for session in harness.sessions for name in session.used_by]
    assert used.count("once") == 1
    assert used.count("often") >= 5
    assert all(session.closed for session in harness.sessions)


async def test_failed_job_waits_longer_before_each_retry(harness: LaneHarness) -> None:
    loop, tried = asyncio.get_running_loop(), list[float]()

    async def run(_: FakeSession, __: float) -> Sequence[Sample]:
        tried.append(loop.time())
        raise TargetRefused("no")

    async with harness.lane(harness.job("a", run)):
        await wait_until(lambda: len(tried) == 3)
    assert tried[1] - tried[0] >= 0.5
    assert tried[2] - tried[1] >= 1


async def test_close_ends_the_running_job_and_its_session(harness: LaneHarness) -> None:
    async with harness.lane(harness.job("a", hangs)):
        await wait_until(lambda: harness.sessions and harness.sessions[0].used_by)
        assert not harness.sessions[0].closed
    assert harness.sessions[0].closed


async def test_lane_without_jobs_does_not_connect(harness: LaneHarness) -> None:
    async with harness.lane():
        await asyncio.sleep(0.05)
    assert harness.sessions == []
