"""Exports the dead letters of one BullMQ queue, and removes exactly the exported ones. Its undo puts them back.

Source: the ClientForge runbook, "QueueDLQJobsPresent" and "Queue Management": clear the dead-letter queue after the
investigation. Its trap: clearing removes the only evidence, and silences the alert without a repair; and what arrived
after the look is lost with the rest. So an operator approves the jobs that the plan lists, no others are touched, and
each is on the disk before it is removed.
"""

import asyncio
import re
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from redis.asyncio import Redis

from remediator.clients.archive_store import ArchiveStore, open_archive, read_archive, store_archive
from remediator.clients.redis import connect
from remediator.masking import mask_text
from remediator.model.act_words import ActWords
from remediator.model.errors import TargetUnknown, TargetUnreachable
from remediator.model.permanent_fix import Cause, Fix
from remediator.model.remediation import (
    EffectOutcome,
    Item,
    ItemState,
    Needs,
    PastSize,
    PermanentFix,
    Plan,
    Remediation,
    Scope,
    Undo,
    Verdict,
)
from remediator.remediations.bullmq_queue import (
    READ,
    WRITE,
    deadline,
    queue_key,
    read_parts,
    translate_script_errors,
)
from remediator.remediations.dead_letter_archive import ArchivedJob, read_jobs, write_archive

PLAN_SECONDS = 8.0
EFFECT_SECONDS = 120.0
STEP_JOBS = 100
STEP_BYTES = 1024 * 1024
MAX_LISTED = 1_000
LISTS, SETS = ("wait", "paused"), ("prioritized", "delayed", "failed")
_PARTS = read_parts("archive_dead_letters.lua")
JUDGE_SCRIPT, EXPORT_SCRIPT = (READ + _PARTS["judge"] + _PARTS[word] for word in ("ask", "export"))
REMOVE_SCRIPT, RESTORE_SCRIPT = WRITE + _PARTS["judge"] + _PARTS["remove"], WRITE + _PARTS["restore"]
_SKIPPED = {
    "gone": "is no longer among the dead letters",
    "changed": "has changed since it was planned",
    "vanished": "no longer has any data",
    "locked": "is being processed",
    "in_flow": "belongs to a flow of jobs; remove it from the application",
    "referred_to": "belongs to a scheduler or a deduplication; remove it from the application",
    "prioritized": "has a priority, whose order BullMQ 3 keeps elsewhere; remove it from the application",
    "too_large": "is too large to be read",
}
_RESTORED = {
    "restored": EffectOutcome(ItemState.APPLIED, "put back"),
    "exists": EffectOutcome(ItemState.SKIPPED, "a job with its id exists by now"),
}


@dataclass(frozen=True)
class _ArchiveSession:
    """A session of this remediation on the dead letters of one queue. `key` is that of the queue that holds them."""

    scope: Scope
    redis: Redis
    key: str
    places: Sequence[str]
    store: ArchiveStore

    @property
    def effect_timeout(self) -> timedelta:
        return timedelta(seconds=EFFECT_SECONDS)

    async def plan(self) -> Plan:
        async with asyncio.timeout(PLAN_SECONDS):
            return await (self._plan() if self.scope.undoes is None else self._plan_undo(self.scope.undoes))

    async def apply(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        return await (self._archive(items) if self.scope.undoes is None else self._restore(items))

    async def resolve_outcome(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        """See RemediationSession. A job that is gone was archived if the archive has it."""
        words = await self._words(items)
        if self.scope.undoes is not None:
            return [_outcome(word == "dead", "is back", "is not back") for word in words]
        archived = await self._archived(items) if any(word != "dead" for word in words) else {}
        return [
            _outcome(word != "dead" and _is_same(item, archived), "is in the archive and gone", "was not archived")
            for item, word in zip(items, words, strict=True)
        ]

    async def verify(self, items: Sequence[Item]) -> Verdict:
        """See RemediationSession. Clean if no job is left and the archive holds all; after an undo, if all are back."""
        words = Counter(await self._words(items))
        if self.scope.undoes is not None:
            return Verdict(words["dead"] == len(items), {"back": words["dead"]})
        archived = await self._archived(items)
        kept = sum(_is_same(item, archived) for item in items)
        return Verdict(words["dead"] == 0 and kept == len(items), {"left": words["dead"], "in_the_archive": kept})

    async def _plan(self) -> Plan:
        jobs, total = await self._list(), await self._total()
        with translate_script_errors(self.scope):
            answers = await self._run(JUDGE_SCRIPT, 0, [(*job, "") for job in jobs])
        export = self._new_name()
        judged = list(zip(jobs, answers, strict=True))
        items = tuple(_item(job, answer, export) for job, answer in judged if answer[0] == b"dead")
        left_out = Counter(answer[0].decode() for _, answer in judged if answer[0] != b"dead")
        reason = next((word for word in _SKIPPED if word in left_out), "") if not items else ""
        found = max(total - left_out.total(), len(items)) if items else 0
        return Plan(items, found, total, {"left_out": dict(left_out)}, reason)

    async def _plan_undo(self, undone: Sequence[Item]) -> Plan:
        archived = await self._archived(undone)
        damaged = [item for item in undone if not _is_same(item, archived)]
        if damaged:
            raise TargetUnreachable(f"{self.scope.target}: the archive has not all jobs of the run; look for it")
        with translate_script_errors(self.scope):
            pipeline = self.redis.pipeline(transaction=False)
            for item in undone:
                pipeline.exists(f"{self.key}:{item.identity['id']}")
            exist = await pipeline.execute()
        items = tuple(item for item, found in zip(undone, exist, strict=True) if not found)
        return Plan(items, len(items), evidence={"left_out": {"exists": len(undone) - len(items)}})

    async def _archive(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        with translate_script_errors(self.scope):
            answers = await self._run(EXPORT_SCRIPT, 0, [_planned(item) for item in items])
        found = [(item, _job(item, *answer)) for item, answer in zip(items, answers, strict=True)]
        jobs = [job for item, job in found if job is not None and job.fingerprint == item.identity["fingerprint"]]
        if not jobs:
            return [_skipped(answer[0]) for answer in answers]
        name = str(items[0].evidence["export"])
        try:
            digest = await store_archive(self.store, name, write_archive(self.key, jobs))
        except TargetUnreachable as error:
            return [EffectOutcome(ItemState.FAILED, f"{error}; nothing was removed")] * len(items)
        return await self._remove(items, {job.id for job in jobs}, f"archived in {name}, sha256 {digest}")

    async def _remove(self, items: Sequence[Item], exported: set[str], detail: str) -> Sequence[EffectOutcome]:
        """Remove the exported jobs; each is compared again in the script."""
        to_remove = [item for item in items if item.identity["id"] in exported]
        with translate_script_errors(self.scope):
            latest = await deadline(self.redis)
            words = await self._run(REMOVE_SCRIPT, latest, [_planned(item) for item in to_remove])
        answers = iter(words)
        final = [next(answers) if item.identity["id"] in exported else b"changed" for item in items]
        return [EffectOutcome(ItemState.APPLIED, detail) if word == b"removed" else _skipped(word) for word in final]

    async def _restore(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        archived = await self._archived(items)
        if not all(_is_same(item, archived) for item in items):
            return [EffectOutcome(ItemState.FAILED, "the archive has not all of the jobs; nothing was put back")] * len(
                items
            )
        # The last one that is pushed is the next job, so the oldest comes last.
        jobs = [archived[str(item.identity["id"])] for item in reversed(items)]
        words: list[bytes] = []
        with translate_script_errors(self.scope):
            latest = await deadline(self.redis)
            for step in _steps(jobs):
                arguments = [argument for job in step for argument in job.arguments()]
                words += await self.redis.eval(RESTORE_SCRIPT, 1, f"{self.key}:meta", latest, *arguments)
        return [_RESTORED[word.decode()] for word in reversed(words)]

    async def _archived(self, items: Sequence[Item]) -> Mapping[str, ArchivedJob]:
        """Return the jobs in the archive of a run; none if there is no archive."""
        name = str(items[0].evidence["export"])
        content = await read_archive(self.store, name, str(self.scope.target))
        return {} if content is None else read_jobs(content, str(self.scope.target))

    async def _words(self, items: Sequence[Item]) -> list[str]:
        with translate_script_errors(self.scope):
            answers = await self._run(JUDGE_SCRIPT, 0, [_planned(item) for item in items])
        return [answer[0].decode() for answer in answers]

    async def _list(self) -> list[tuple[str, str, str]]:
        """Return id, place and score of the dead letters, in each place the next one first."""
        found: list[tuple[str, str, str]] = []
        with translate_script_errors(self.scope):
            for place in self.places:
                if place in LISTS:
                    rows: Any = await self.redis.lrange(f"{self.key}:{place}", -MAX_LISTED, -1)
                    entries = [
                        (row, "") for row in reversed(rows) if not row.startswith(b"0:")
                    ]  # markers of BullMQ 3 and 4
                else:
                    scored: Any = await self.redis.zrange(f"{self.key}:{place}", 0, MAX_LISTED - 1, withscores=True)
                    entries = [(row, _score(score)) for row, score in scored]
                found += [(row.decode(), place, score) for row, score in entries if _is_text(row)]
        return found[:MAX_LISTED]

    async def _total(self) -> int:
        with translate_script_errors(self.scope):
            pipeline = self.redis.pipeline(transaction=False)
            for place in self.places:
                (pipeline.llen if place in LISTS else pipeline.zcard)(f"{self.key}:{place}")
            return sum(await pipeline.execute())

    async def _run(self, script: str, latest: int, jobs: Sequence[tuple[str, str, str, str]]) -> list[Any]:
        """Run `script` until it has judged all jobs; each run judges at least one."""
        results: list[Any] = []
        while len(results) < len(jobs):
            step = jobs[len(results) : len(results) + STEP_JOBS]
            arguments = [argument for job in step for argument in job]
            results += await self.redis.eval(script, 1, f"{self.key}:meta", latest, *arguments)
        return results

    def _new_name(self) -> str:
        """Return a name that no other archive has, made of characters that every storage takes."""
        target = self.scope.target
        queue = re.sub(r"[^A-Za-z0-9_-]", "_", target.queue or "")[:60]
        return f"{target.stack}.{target.name}.{queue}.{datetime.now(UTC):%Y%m%dT%H%M%SZ}.{secrets.token_hex(4)}.jsonl"


def _item(job: tuple[str, str, str], answer: Sequence[bytes], export: str) -> Item:
    identifier, place, score = job
    _, fingerprint, name, attempts, added_at, error = (part.decode("utf-8", "replace") for part in answer)
    # Without the job's data and message, which may hold personal data; the name may too, so it is masked.
    evidence = {"name": mask_text(name)[:100], "added_at": _moment(added_at), "attempts_made": attempts[:10]}
    identity = {"id": identifier, "place": place, "score": score, "fingerprint": fingerprint}
    return Item(identity, {**evidence, "error": error or None, "export": export})


def _planned(item: Item) -> tuple[str, str, str, str]:
    identifier, place, score, fingerprint = (str(item.identity[key]) for key in ("id", "place", "score", "fingerprint"))
    return identifier, place, score, fingerprint


def _job(item: Item, word: bytes, fields: Sequence[bytes], logs: Sequence[bytes]) -> ArchivedJob | None:
    if word != b"dead":
        return None
    identifier, place, score, _ = _planned(item)
    return ArchivedJob(identifier, place, score, tuple(zip(fields[::2], fields[1::2], strict=True)), tuple(logs))


def _is_same(item: Item, archived: Mapping[str, ArchivedJob]) -> bool:
    job = archived.get(str(item.identity["id"]))
    return job is not None and job.fingerprint == item.identity["fingerprint"]


def _steps(jobs: Sequence[ArchivedJob]) -> list[list[ArchivedJob]]:
    """Split jobs into steps of at most STEP_JOBS and about STEP_BYTES."""
    steps: list[list[ArchivedJob]] = []
    for job in jobs:
        if not steps or len(steps[-1]) >= STEP_JOBS or sum(each.size for each in steps[-1]) + job.size > STEP_BYTES:
            steps.append([])
        steps[-1].append(job)
    return steps


def _skipped(word: bytes) -> EffectOutcome:
    return EffectOutcome(ItemState.SKIPPED, _SKIPPED.get(word.decode(), _SKIPPED["changed"]))


def _outcome(is_done: bool, done: str, not_done: str) -> EffectOutcome:
    return EffectOutcome(ItemState.APPLIED, done) if is_done else EffectOutcome(ItemState.NOT_APPLIED, not_done)


def _score(score: float) -> str:
    return str(int(score)) if score.is_integer() else repr(score)


def _is_text(raw: bytes) -> bool:
    """Return whether an id can be recorded; BullMQ writes no other."""
    try:
        return "\x00" not in raw.decode("utf-8")
    except UnicodeDecodeError:
        return False


def _moment(milliseconds: str) -> str | None:
    try:
        return datetime.fromtimestamp(int(milliseconds) / 1000, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return None


def _source(scope: Scope) -> tuple[str, Sequence[str]]:
    """Return the key of the queue that holds the dead letters, and where in it they are."""
    key, queues, queue = queue_key(scope), scope.stack.queues[scope.target.name], scope.target.queue or ""
    holder = queues.dead_letter_of(queue)
    if holder is None:
        raise TargetUnknown(
            f"{scope.target}: the inventory names no dead letters of it; set queues.{scope.target.name}.dead_letter"
        )
    if holder == queue:
        return key, ("failed",)
    holder_key = queues.key_of(holder)
    if holder_key is None:
        raise TargetUnknown(f"{scope.target}: its dead-letter queue {holder!r} has none of the prefixes")
    return holder_key, (*LISTS, *SETS)


@asynccontextmanager
async def _open(scope: Scope) -> AsyncIterator[_ArchiveSession]:
    key, places = _source(scope)
    archive = scope.stack.queues[scope.target.name].archive
    if archive is None:
        raise TargetUnreachable(
            f"{scope.target}: the inventory has no place for the archive;"
            f" add stacks.{scope.target.stack}.queues.{scope.target.name}.archive"
        )
    async with connect(scope, decode=False) as redis:
        yield _ArchiveSession(scope, redis, key, places, open_archive(scope, archive))


def _write_fix(scope: Scope, _causes: Sequence[Cause]) -> Fix:
    return Fix(
        f"Jobs of the queue {scope.target.queue} fail for good again and again, and the archive only keeps them. Fix"
        " the processor for the errors above, or refuse such data where the job is added; then put the archived jobs"
        " back with an undo of the last run.",
    )


REMEDIATION = Remediation(
    name="archive_dead_letters",
    kind="queues",
    keys=frozenset({"batch"}),
    max_items=1_000,
    one_effect=True,
    open=_open,
    undo=Undo("exact", "A run of its own puts the jobs back from the archive, if no job with their ids exists."),
    permanent_fix=PermanentFix(_write_fix, names=("name",), traits=("error",)),
    never_auto=True,
    past_size=PastSize(
        found="sum by (stack, target, queue) (bullmq_queue_dead_letter_jobs)",
        note="counts every job of the dead letter queue",
    ),
    words=ActWords("Archive", "archived", "dead job", "dead jobs"),
    needs=Needs(lambda stack, name: stack.queues[name].archive is not None, "archive"),
)
