"""Retries failed jobs of one BullMQ queue, the oldest first.

Source: the PMCRM runbook, "Daily Operations > Morning Health Check", step 6. Its `LLEN` fails (failed jobs are a sorted
set) and its command retries every job; this remediation is bounded. It runs an atomic script of its own, because the
layout of a queue differs between BullMQ's major versions.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from remediator.clients.redis import connect
from remediator.masking import mask_text
from remediator.model.act_words import ActWords
from remediator.model.errors import TargetUnreachable
from remediator.model.permanent_fix import Cause, Fix
from remediator.model.quoting import script_text
from remediator.model.remediation import (
    EffectOutcome,
    Item,
    ItemState,
    PastSize,
    PermanentFix,
    Plan,
    Remediation,
    Scope,
    Undo,
    Verdict,
)
from remediator.remediations.bullmq_queue import (
    NO_QUEUE,
    QUEUE_GONE,
    READ,
    WRITE,
    deadline,
    exists,
    queue_key,
    read_parts,
    translate_script_errors,
)

PLAN_SECONDS = 8.0
EFFECT_SECONDS = 10.0
# A job that failed again after two retries has a fault that a retry does not fix.
MAX_RETRIES = 2
LOOKBACK = timedelta(days=7)
# Attempts of the permanent fix: pauses of 1, 2, 4 and 8 s outlast a restart of what the job needs.
ATTEMPTS, MORE_ATTEMPTS = 5, 3
# An older job's mail or payment may surprise its recipient, so a person decides about it.
YOUNGER_THAN = timedelta(hours=24)
STEP_JOBS = 100  # jobs that one script judges at most, so that it takes Redis a few milliseconds
MAX_LISTED = 1_000  # jobs in one plan; the total is counted beyond it

_OUTCOMES = {
    "retried": EffectOutcome(ItemState.APPLIED, "put back into the queue"),
    "gone": EffectOutcome(ItemState.SKIPPED, "is no longer among the failed jobs"),
    "changed": EffectOutcome(ItemState.SKIPPED, "has run and failed again since it was planned"),
    "vanished": EffectOutcome(ItemState.SKIPPED, "no longer has any data"),
    "paused": EffectOutcome(ItemState.SKIPPED, "its queue has been paused since it was planned"),
    "in_flow": EffectOutcome(ItemState.SKIPPED, "belongs to a flow of jobs; retry it from the application"),
    "given_up": EffectOutcome(ItemState.SKIPPED, "was given up for good by the application"),
    "denied": EffectOutcome(ItemState.SKIPPED, "failed with one of deny_reasons"),
    "stalled": EffectOutcome(ItemState.SKIPPED, "stalled too often; BullMQ gave it up"),
    "too_old": EffectOutcome(ItemState.SKIPPED, "is older than younger_than; retry it from the application"),
    "too_large": EffectOutcome(ItemState.SKIPPED, "has a stack, a reason or options too large to read"),
}
# The reason for an empty plan, by the word of the jobs left out; the first word that occurs counts.
_EMPTY_REASONS = {
    "paused": "queue_paused",
    "retried_twice": "retried_twice",
    "denied": "denied",
    "given_up": "given_up",
    "stalled": "stalled",
    "too_old": "too_old",
    "too_large": "too_large",
    "in_flow": "only_flows",
}


_PARTS = read_parts("retry_failed_jobs.lua")
JUDGE_SCRIPT, RETRY_SCRIPT = READ + _PARTS["judge"] + _PARTS["ask"], WRITE + _PARTS["judge"] + _PARTS["act"]


@dataclass(frozen=True)
class _JudgedJob:
    """A failed job; `word` is `failed`, or why the plan leaves it out."""

    word: str
    item: Item


@dataclass(frozen=True)
class _RetrySession:
    """A session of this remediation on one queue."""

    scope: Scope
    redis: Redis
    key: str
    retries: Counter[str]  # earlier retries per job

    @property
    def effect_timeout(self) -> timedelta:
        return timedelta(seconds=EFFECT_SECONDS)

    async def plan(self) -> Plan:
        with translate_script_errors(self.scope):
            async with asyncio.timeout(PLAN_SECONDS):
                counts = await self._counts()
                oldest = await self._oldest_failed()
                planned = [(job, _score(score)) for job, score in oldest]
                version, judgements = await self._run_in_steps(JUDGE_SCRIPT, 0, planned)
        jobs = [self._judge(job, *answer) for job, answer in zip(oldest, judgements, strict=True)]
        items = tuple(job.item for job in jobs if job.word == "failed")
        left_out = Counter(job.word for job in jobs if job.word != "failed")
        return Plan(
            items,
            found=counts["failed"] - left_out.total() if items else 0,
            population=sum(counts.values()),
            evidence={"version": version or None, "left_out": dict(left_out)},
            empty_reason=""
            if items
            else next((reason for word, reason in _EMPTY_REASONS.items() if word in left_out), ""),
        )

    def _judge(self, job: tuple[str, float], word: str, name: str, attempts: str, error: str) -> "_JudgedJob":
        """Combine the script's judgement with the number of earlier retries."""
        exhausted = word == "failed" and self.retries[job[0]] >= MAX_RETRIES
        return _JudgedJob("retried_twice" if exhausted else word, _item(job, name, attempts, error))

    async def apply(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        jobs = [(str(item.identity["id"]), str(item.identity["score"])) for item in items]
        with translate_script_errors(self.scope):
            try:
                _, results = await self._run_in_steps(RETRY_SCRIPT, await deadline(self.redis), jobs)
            except ResponseError as error:
                if str(error).startswith(NO_QUEUE):
                    return [EffectOutcome(ItemState.SKIPPED, QUEUE_GONE)] * len(items)
                raise
        return [_OUTCOMES[word] for word in results]

    async def resolve_outcome(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        with translate_script_errors(self.scope):
            pipeline = self.redis.pipeline(transaction=False)
            for item in items:
                pipeline.zscore(f"{self.key}:failed", str(item.identity["id"]))
            scores = await pipeline.execute()
            if not await exists(self.redis, self.key):
                return [EffectOutcome(ItemState.UNKNOWN, QUEUE_GONE)] * len(items)
        return [_outcome_of(item, score) for item, score in zip(items, scores, strict=True)]

    async def verify(self, items: Sequence[Item]) -> Verdict:
        """See RemediationSession. Clean if every retried job was completed, or removed since."""
        with translate_script_errors(self.scope):
            states = Counter([await self._state(str(item.identity["id"])) for item in items])
            if not await exists(self.redis, self.key):
                raise TargetUnreachable(f"{self.scope.target}: {QUEUE_GONE}")
        clean = states.total() == states["completed"] + states["gone"]
        return Verdict(clean, {state: states[state] for state in sorted(states)})

    async def _counts(self) -> dict[str, int]:
        lists, sets = ("wait", "paused", "active"), ("prioritized", "delayed", "waiting-children", "failed")
        pipeline = self.redis.pipeline(transaction=False)
        for name in lists:
            pipeline.llen(f"{self.key}:{name}")
        for name in sets:
            pipeline.zcard(f"{self.key}:{name}")
        return dict(zip(lists + sets, await pipeline.execute(), strict=True))

    async def _oldest_failed(self) -> list[tuple[str, float]]:
        rows: Any = await self.redis.zrange(f"{self.key}:failed", 0, MAX_LISTED - 1, withscores=True)
        return [(job, float(score)) for job, score in rows]

    async def _run_in_steps(self, script: str, latest: int, jobs: Sequence[tuple[str, str]]) -> tuple[str, list[Any]]:
        """Run `script` until it has judged all jobs; return the queue's version and one result per job.

        Each script judges at least one job, and leaves out those that would take Redis longer than a few milliseconds.
        """
        version, results = await self._run_step(script, latest, jobs[:STEP_JOBS])
        while len(results) < len(jobs):
            version, more = await self._run_step(script, latest, jobs[len(results) : len(results) + STEP_JOBS])
            results += more
        return version, results

    async def _run_step(self, script: str, latest: int, jobs: Sequence[tuple[str, str]]) -> tuple[str, list[Any]]:
        max_age = self.scope.settings.younger_than or YOUNGER_THAN
        arguments = [argument for job in jobs for argument in job]
        limits = int(max_age.total_seconds() * 1000), json.dumps(self.scope.settings.deny_reasons)
        answer: list[Any] = await self.redis.eval(script, 1, f"{self.key}:meta", latest, *limits, *arguments)
        return answer[0], answer[1:]

    async def _state(self, job: str) -> str:
        pipeline = self.redis.pipeline(transaction=False)
        for name in ("completed", "failed", "delayed"):
            pipeline.zscore(f"{self.key}:{name}", job)
        pipeline.hmget(f"{self.key}:{job}", ["timestamp", "processedOn"])
        completed, failed, delayed, (timestamp, processed_on) = await pipeline.execute()
        return _job_state(completed, failed, delayed, timestamp, processed_on)


def _item(job: tuple[str, float], name: str, attempts: str, error: str) -> Item:
    failed_at = datetime.fromtimestamp(job[1] / 1000, UTC).isoformat(timespec="milliseconds")
    # Without the job's data and message, which may hold personal data; the name may too, so it is masked.
    evidence = {
        "name": mask_text(name)[:100],
        "failed_at": failed_at,
        "attempts_made": int(attempts),
        "error": error or None,
    }
    return Item({"id": job[0], "score": _score(job[1])}, evidence)


def _score(score: float) -> str:
    """Format a score as Redis does: whole milliseconds, as text that survives JSON."""
    return str(int(score)) if score.is_integer() else repr(score)


def _outcome_of(item: Item, score: float | None) -> EffectOutcome:
    if score is not None and _score(score) == item.identity["score"]:
        return EffectOutcome(ItemState.NOT_APPLIED, "is still the failed job that was planned")
    return EffectOutcome(ItemState.APPLIED, "is no longer the failed job that was planned")


def _job_state(
    completed: float | None,
    failed: float | None,
    delayed: float | None,
    timestamp: str | None,
    processed_on: str | None,
) -> str:
    """Return in one word where a retried job is now."""
    if completed is not None:
        return "completed"
    if failed is not None:
        return "failed_again"
    if timestamp is None:
        return "gone"
    if delayed is not None:
        return "delayed"
    return "active" if processed_on is not None else "waiting"


@asynccontextmanager
async def _open(scope: Scope) -> AsyncIterator[_RetrySession]:
    key = queue_key(scope)
    async with connect(scope) as redis:
        yield _RetrySession(scope, redis, key, Counter(str(identity["id"]) for identity in scope.touched_items))


def _write_fix(_scope: Scope, causes: Sequence[Cause]) -> Fix:
    """Let BullMQ repeat the job by itself, more often than it did, with growing pauses."""
    made: dict[str, int] = {}
    for each in causes:
        if name := each.traits.get("name"):
            made[name] = max(made.get(name, 0), each.least.get("attempts_made", 0))
    return Fix(
        "Let the queue repeat these jobs by itself, where the application adds them. For a job that can never succeed,"
        " let its worker throw UnrecoverableError at once.",
        "\n".join(
            f"await queue.add({script_text(name)}, data, {{ attempts: {max(ATTEMPTS, number + MORE_ATTEMPTS)},"
            f' backoff: {{ type: "exponential", delay: 1000 }} }});'
            for name, number in made.items()
        ),
        "javascript",
    )


REMEDIATION = Remediation(
    name="retry_failed_jobs",
    kind="queues",
    keys=frozenset({"batch", "younger_than", "deny_reasons"}),
    max_items=100,
    one_effect=True,
    open=_open,
    undo=Undo("none", "A retried job cannot be taken back once a worker has begun it."),
    permanent_fix=PermanentFix(_write_fix, names=("name",), traits=("error",), numbers=("attempts_made",)),
    lookback=LOOKBACK,
    past_size=PastSize(
        found='sum by (stack, target, queue) (bullmq_queue_jobs{state="failed"})',
        population="sum by (stack, target, queue) (bullmq_queue_jobs)",
        note="counts every failed job, also one that would not be retried",
    ),
    words=ActWords("Retry", "retried", "failed job", "failed jobs"),
)
