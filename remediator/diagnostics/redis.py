"""Diagnostics of a Redis and its BullMQ queues: key figures of INFO and the oldest jobs."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from redis.asyncio import Redis

from remediator.clients.redis import connect, translate_errors
from remediator.masking import mask_text
from remediator.model.remediation import Scope

MAX_QUEUES = 10
SAMPLED_JOBS = 3
MAX_FIELD = 1024**2  # a larger name or stack is not read: Redis would serve nobody meanwhile
_INFO = (
    "redis_version", "uptime_in_seconds", "loading", "role", "master_link_status", "connected_slaves",
    "connected_clients", "blocked_clients", "maxclients", "rejected_connections", "instantaneous_ops_per_sec",
    "used_memory", "maxmemory", "maxmemory_policy", "mem_fragmentation_ratio", "evicted_keys",
    "rdb_last_bgsave_status", "rdb_bgsave_in_progress", "aof_enabled", "aof_last_write_status", "latest_fork_usec",
)  # fmt: skip
_LISTS = ("wait", "paused", "active")
_SETS = ("prioritized", "delayed", "waiting-children", "failed", "completed")
_CLASS = re.compile(r'^\["([\w$.]+)')


async def read_redis(scope: Scope) -> Mapping[str, Any]:
    """Read `info`, and the counts and oldest jobs of each queue known by name.

    Raises:
        TargetUnreachable: the server does not answer.
    """
    async with connect(scope) as redis:
        with translate_errors(scope):
            info = await redis.info()
            queues = {mask_text(name): await _queue(redis, key) for name, key in _queue_keys(scope).items()}
    return {"info": {name: info[name] for name in _INFO if name in info}, "queues": queues}


def _queue_keys(scope: Scope) -> dict[str, str]:
    """Return the keys of the target's queue and of the listed queues, without discovery."""
    queues = scope.stack.queues[scope.target.name]
    queue = scope.target.queue
    names = [queue] if queue and queues.owns(queue) else []
    if isinstance(queues.names, tuple):
        names += queues.names
    keys_by_name = {name: queues.key_of(name) for name in names}
    return dict(list({name: key for name, key in keys_by_name.items() if key is not None}.items())[:MAX_QUEUES])


async def _queue(redis: Redis, key: str) -> Mapping[str, Any]:
    pipeline = redis.pipeline(transaction=False)
    for part in _LISTS:
        pipeline.llen(f"{key}:{part}")
    for part in _SETS:
        pipeline.zcard(f"{key}:{part}")
    pipeline.hmget(f"{key}:meta", ["paused"])
    pipeline.lrange(f"{key}:wait", -SAMPLED_JOBS, -1)
    pipeline.zrange(f"{key}:failed", 0, SAMPLED_JOBS - 1)
    *counts, (paused,), waiting, failed = await pipeline.execute()
    return {
        "jobs": {part: count for part, count in zip(_LISTS + _SETS, counts, strict=True) if count},
        "paused": paused is not None,
        "oldest_waiting": [await _job(redis, key, job) for job in reversed(waiting)],
        "oldest_failed": [await _job(redis, key, job) for job in failed],
    }


async def _job(redis: Redis, key: str, job: str) -> Mapping[str, Any]:
    """Read a job without its data and message, which may hold personal data."""
    fields = ["timestamp", "attemptsMade", "atm", *await _short_fields(redis, f"{key}:{job}", ("name", "stacktrace"))]
    values: Any = await redis.hmget(f"{key}:{job}", fields)
    found = dict(zip(fields, values, strict=True))
    added_at, attempts_made, attempts = (found[field] for field in fields[:3])
    name, stacktrace = found.get("name"), found.get("stacktrace")
    error = _CLASS.match(stacktrace or "")
    return {
        "id": mask_text(job)[:100],
        "name": mask_text(name or "")[:100],
        "added_at": _format_moment(added_at),
        "attempts_made": attempts or attempts_made or "0",
        "error": error[1] if error else None,
    }


async def _short_fields(redis: Redis, key: str, fields: Sequence[str]) -> list[str]:
    """Return those of `fields` that are short enough to read."""
    pipeline = redis.pipeline(transaction=False)
    for field in fields:
        pipeline.hstrlen(key, field)
    return [field for field, length in zip(fields, await pipeline.execute(), strict=True) if length <= MAX_FIELD]


def _format_moment(milliseconds: str | None) -> str | None:
    if milliseconds is None or not milliseconds.isdigit() or len(milliseconds) > 14:
        return None
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
