"""The job lane: runs due jobs in turn, and keeps each job's last good reading."""

import asyncio
import time
from collections.abc import Iterator
from random import uniform
from typing import Any

import structlog

from exporter.clock import monotonic
from exporter.collector import NOT_YET, Reading
from exporter.errors import TargetUnavailable
from exporter.job import Job, Jobs, JobSession
from exporter.metric import Sample, gauge
from exporter.scheduling.background_lane import JITTER
from exporter.scheduling.backoff import Backoff
from exporter.scheduling.outcome import Failure, ReadingOutcome, failure_of

# The label is not `job`, which Prometheus itself sets on every scraped series.
SUCCESS = gauge(
    "runbook_exporter_job_success",
    "Whether the last run of the background job succeeded (1) or failed (0).",
    "collector",
    "job_name",
)
DURATION = gauge(
    "runbook_exporter_job_duration_seconds",
    "Duration of the last run of the background job, in seconds.",
    "collector",
    "job_name",
)
LAST_SUCCESS = gauge(
    "runbook_exporter_job_last_success_timestamp_seconds",
    "When the background job last succeeded, in seconds since 1970.",
    "collector",
    "job_name",
)
METRICS = (SUCCESS, DURATION, LAST_SUCCESS)
# The server ends a job's statement at the job's limit; the grace is for a server that cannot even report that.
GRACE_SECONDS = 2.0
# A failed job is retried before its refresh, but may take at most a tenth of the connection's time.
LONGEST_WAIT_SECONDS = 60.0
log = structlog.get_logger(__name__)


class JobLane:
    """Runs a target's jobs when they are due, one at a time."""

    def __init__(self, jobs: Jobs[Any], target: str, kind: str) -> None:
        self._session = jobs.session
        self._states = [_JobState(job) for job in jobs.jobs]
        self._target, self._kind = target, kind
        self._task: asyncio.Task[None] | None = None

    @property
    def outcomes(self) -> dict[str, ReadingOutcome]:
        """The outcome of each job's last run, with its last good reading."""
        return {f"job {state.job.name}": state.outcome for state in self._states}

    def start(self) -> None:
        """Start to run jobs, unless started already."""
        if self._task is None:
            self._task = asyncio.create_task(self._run_forever(), name=f"jobs of {self._target}")

    async def close(self) -> None:
        """End the job under way; it closes the connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def samples(self) -> Iterator[Sample]:
        """Yield the samples about each job's runs; the jobs' own samples are in `outcomes`."""
        for state in self._states:
            yield SUCCESS(state.outcome.failure is None, self._kind, state.job.name)
            yield DURATION(state.outcome.seconds, self._kind, state.job.name)
            if state.succeeded_at is not None:
                yield LAST_SUCCESS(state.succeeded_at, self._kind, state.job.name)

    async def _run_forever(self) -> None:
        while self._states:
            await self._run_due_jobs()
            await asyncio.sleep(max(min(state.due for state in self._states) - monotonic(), 0))

    async def _run_due_jobs(self) -> None:
        """Run the due jobs, the longest overdue first; stop if no server answers."""
        due = sorted((state for state in self._states if state.due <= monotonic()), key=lambda state: state.due)
        session = self._session()
        try:
            for number, state in enumerate(due):
                if (error := await state.run(session, self._target)) is not None:
                    for other in due[number + 1 :]:  # not logged: all have the same cause
                        other.record_failure(failure_of(error), 0.0)
                    return
        finally:
            # Turns may be minutes apart; an idle connection would take a slot from others.
            await session.close()


class _JobState:
    """A job, with the outcome of its last run and the time of its next."""

    def __init__(self, job: Job[Any]) -> None:
        self.job = job
        self.outcome = ReadingOutcome(None, Failure(NOT_YET), 0.0)
        self.succeeded_at: float | None = None
        """Seconds since 1970."""
        self.due = 0.0
        """On the event loop's clock."""
        self._backoff = Backoff(LONGEST_WAIT_SECONDS)

    async def run(self, session: JobSession, target: str) -> TargetUnavailable | None:
        """Run the job now. Return the error if no server answers at the target's address."""
        start, limit = monotonic(), self.job.timeout.total_seconds()
        try:
            async with asyncio.timeout_at(start + limit + GRACE_SECONDS):
                samples = await self.job.run(session, start + limit)
        except Exception as error:  # whatever it is, it costs this job only
            self._log_failure(failure_of(error), target)
            self.record_failure(failure_of(error), monotonic() - start)
            return error if isinstance(error, TargetUnavailable) else None
        self._record_success(Reading(tuple(samples), round_trips=0), monotonic() - start, target)
        return None

    def record_failure(self, failure: Failure, seconds: float) -> None:
        """Record why the run failed; the last good reading stays."""
        self._backoff.record_failure(failure, monotonic())
        self.outcome = ReadingOutcome(self.outcome.reading, failure, seconds)
        self.due = monotonic() + min(self.job.refresh.total_seconds(), max(self._backoff.wait, 10 * seconds))

    def _log_failure(self, failure: Failure, target: str) -> None:
        """Log a failure only if its reason changed."""
        if self.outcome.failure is None or self.outcome.failure.reason != failure.reason:
            log.warning("job failed", target=target, job=self.job.name, reason=failure.reason)

    def _record_success(self, reading: Reading, seconds: float, target: str) -> None:
        if self.outcome.failure is not None and self.outcome.failure.reason != NOT_YET:
            log.info("job works again", target=target, job=self.job.name)
        self._backoff.record_success()
        self.outcome = ReadingOutcome(reading, None, seconds)
        self.succeeded_at = time.time()
        # Jitter spreads the load of jobs on the same server.
        self.due = monotonic() + self.job.refresh.total_seconds() * uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
