"""How a Redis and its BullMQ queues are: the numbers of INFO that explain trouble, and what is at the queues' heads."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from redis.asyncio import Redis

from remediator.clients.redis import answering, connected
from remediator.diagnostics.masking import mask_text
from remediator.model.remediation import Scope

MAX_QUEUES = 10
HEADS = 3
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
    """`info`, and of each queue that is known by name its counts and its oldest waiting and failed jobs.

    Raises:
        TargetUnreachable: the server can not be asked.
    """
    async with connected(scope) as redis:
        with answering(scope):
            info = await redis.info()
            queues = {mask_text(name): await _queue(redis, key) for name, key in _keys(scope).items()}
    return {"info": {name: info[name] for name in _INFO if name in info}, "queues": queues}


def _keys(scope: Scope) -> dict[str, str]:
    """The queue of the target, and those that the inventory lists, with their keys; none is searched for here."""
    queues = scope.stack.queues[scope.target.name]
    names = [scope.target.queue] if scope.target.queue else []
    if isinstance(queues.names, tuple):
        names += queues.names
    known = {name: queues.key_of(name) for name in names}
    return dict(list({name: key for name, key in known.items() if key is not None}.items())[:MAX_QUEUES])


async def _queue(redis: Redis, key: str) -> Mapping[str, Any]:
    pipeline = redis.pipeline(transaction=False)
    for part in _LISTS:
        pipeline.llen(f"{key}:{part}")
    for part in _SETS:
        pipeline.zcard(f"{key}:{part}")
    pipeline.hmget(f"{key}:meta", ["paused"])
    pipeline.lrange(f"{key}:wait", -HEADS, -1)
    pipeline.zrange(f"{key}:failed", 0, HEADS - 1)
    *counts, (paused,), waiting, failed = await pipeline.execute()
    return {
        "jobs": {part: count for part, count in zip(_LISTS + _SETS, counts, strict=True) if count},
        "paused": paused is not None,
        "oldest_waiting": [await _job(redis, key, job) for job in reversed(waiting)],
        "oldest_failed": [await _job(redis, key, job) for job in failed],
    }


async def _job(redis: Redis, key: str, job: str) -> Mapping[str, Any]:
    """Neither the job's data nor its message: they may hold personal data."""
    fields = ["name", "timestamp", "attemptsMade", "atm", "stacktrace"]
    answer: Any = await redis.hmget(f"{key}:{job}", fields)
    name, added, made, attempts, stacktrace = answer
    error = _CLASS.match(stacktrace or "")
    return {
        "id": mask_text(job)[:100],
        "name": mask_text(name or "")[:100],
        "added_at": _moment(added),
        "attempts_made": attempts or made or "0",
        "error": error[1] if error else None,
    }


def _moment(milliseconds: str | None) -> str | None:
    if milliseconds is None or not milliseconds.isdigit() or len(milliseconds) > 14:
        return None
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
