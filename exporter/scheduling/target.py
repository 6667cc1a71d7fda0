"""A scheduled target: its lanes, and their samples."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from exporter.collector import NOT_YET, Collector
from exporter.metric import Rows, Sample, gauge
from exporter.scheduling.background_lane import BackgroundLane
from exporter.scheduling.job_lane import JobLane
from exporter.scheduling.outcome import ReadingOutcome
from exporter.scheduling.scrape_lane import ScrapeLane
from exporter.series import TargetSeries

SUCCESS = gauge(
    "runbook_exporter_collector_success",
    "Whether the last reading of the target succeeded (1) or failed (0).",
    "collector",
)
TIMEOUT = gauge(
    "runbook_exporter_collector_timeout",
    "Whether the last reading of the target exceeded its deadline (1).",
    "collector",
)
DURATION = gauge(
    "runbook_exporter_collector_duration_seconds",
    "Duration of the last reading of the target, in seconds.",
    "collector",
)
ROUND_TRIPS = gauge(
    "runbook_exporter_collector_round_trips",
    "Number of requests in the last reading that waited for an answer, without connecting.",
    "collector",
)
SAMPLES = gauge(
    "runbook_exporter_collector_samples",
    "Number of samples that the target returned, without those about its reading; the page may drop some of them.",
    "collector",
)
LAST_SUCCESS = gauge(
    "runbook_exporter_collector_last_success_timestamp_seconds",
    "When a background reading of the target last succeeded, in seconds since 1970.",
    "collector",
)
METRICS = (SUCCESS, TIMEOUT, DURATION, ROUND_TRIPS, SAMPLES, LAST_SUCCESS)
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class LastError:
    """The last error of a target, and when it first occurred."""

    reason: str
    at: datetime

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} UTC: {self.reason}"


class ScheduledTarget:
    """A target of the inventory. It returns samples in time, even if its collector fails."""

    def __init__(self, stack: str, kind: str, name: str, collector: Collector) -> None:
        self.stack, self.kind, self.name = stack, kind, name
        self.series = TargetSeries(stack=stack, target=name)
        self.dropped_series = TargetSeries(stack=stack, target=name)
        self._collector = collector
        self._scrape_lane = ScrapeLane(collector.scrape, f"read {self}") if collector.scrape else None
        self._background_lane = (
            BackgroundLane(collector.background, f"refresh {self}") if collector.background else None
        )
        self._job_lane = JobLane(collector.jobs, str(self), kind) if collector.jobs else None
        self.problem: str | None = None
        """Why it is not up; empty if it is up, None before the first scrape."""
        self.last_error: LastError | None = None
        self.outcomes: Mapping[str, ReadingOutcome] = {}
        """The outcome of each lane's last reading, by `scrape`, `background` and `job …`."""
        self.dropped: Mapping[str, int] = {}
        """Number of samples that the last page dropped, by metric, including `unread`."""
        self.unread: Mapping[str, int] = {}
        """Number of series that the last scrape did not request, by metric."""
        self._logged_notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.stack}/{self.kind}/{self.name}"

    def start(self) -> None:
        """Start the background and job lanes, if there are any."""
        for lane in (self._background_lane, self._job_lane):
            if lane is not None:
                lane.start()

    async def close(self) -> None:
        """End all tasks and connections."""
        await asyncio.gather(
            *(lane.close() for lane in (self._scrape_lane, self._background_lane, self._job_lane) if lane is not None)
        )

    async def scrape(self, deadline: float) -> tuple[Sample | Rows, ...]:
        """Return the target's samples before `deadline` (event loop's clock). Raises nothing."""
        by_lane = {"scrape": await self._scrape_lane.scrape(deadline)} if self._scrape_lane is not None else {}
        by_lane |= {"background": self._background_lane.outcome} if self._background_lane is not None else {}
        outcomes = list(by_lane.values())
        self.outcomes = by_lane | (self._job_lane.outcomes if self._job_lane is not None else {})
        readings = [outcome.reading for outcome in outcomes if outcome.reading is not None]
        self.unread = {name: count for reading in readings for name, count in reading.unread.items()}
        background = self._collector.background
        up_outcomes = outcomes if background is None or background.counts_for_up else outcomes[:-1]
        # The background's problem first: the scrape depends on its result.
        problem = next((outcome.problem for outcome in reversed(up_outcomes) if outcome.problem), "")
        self._log_problem(problem)
        other_outcomes = [] if problem else outcomes[len(up_outcomes) :]
        notes = [note for reading in readings for note in reading.notes]
        self._log_notes([*notes, *(each.problem for each in other_outcomes)])
        return (self._collector.up(not problem, *self._collector.up_labels), *self._samples(outcomes))

    def _samples(self, outcomes: list[ReadingOutcome]) -> Iterator[Sample | Rows]:
        readings = [outcome.reading for outcome in self.outcomes.values() if outcome.reading is not None]
        for reading in readings:
            yield from reading.samples
        standing = tuple(self._collector.standing_samples())
        yield from standing
        if self._job_lane is not None:
            yield from self._job_lane.samples()
        first, failures = outcomes[0], [outcome.failure for outcome in outcomes if outcome.failure is not None]
        yield SUCCESS(not failures, self.kind)
        yield TIMEOUT(any(failure.timeout for failure in failures), self.kind)
        yield DURATION(first.seconds, self.kind)
        yield ROUND_TRIPS(first.reading.round_trips if first.reading is not None else 0, self.kind)
        yield SAMPLES(len(standing) + sum(reading.count for reading in readings), self.kind)
        if self._background_lane is not None and self._background_lane.succeeded_at is not None:
            yield LAST_SUCCESS(self._background_lane.succeeded_at, self.kind)

    def _log_problem(self, problem: str) -> None:
        """Log changes only: targets that stay down, and every start, would fill the log."""
        if problem and problem not in (self.problem, NOT_YET):
            self.last_error = LastError(problem, datetime.now(UTC))
            log.warning("target is not up", target=str(self), reason=problem)
        elif not problem and self.problem not in (None, "", NOT_YET):
            log.info("target is up again", target=str(self))
        self.problem = problem

    def _log_notes(self, notes: Sequence[str]) -> None:
        """Log each new note once."""
        for note in notes:
            if note not in (*self._logged_notes, "", NOT_YET):
                log.warning("not all of the target is measured", target=str(self), note=note)
        self._logged_notes = tuple(notes)
