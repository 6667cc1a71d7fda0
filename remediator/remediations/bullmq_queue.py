"""One BullMQ queue of the inventory: its keys, the scripts on it, and their errors.

BullMQ's majors keep their jobs differently, so each act on a queue is an atomic script of our own, which reads the
version in the same step. `retry_failed_jobs`, `pause_queue`, `resume_queue` and `archive_dead_letters` have one each.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from remediator.clients.redis import translate_errors
from remediator.model.errors import TargetUnknown, TargetUnreachable
from remediator.model.remediation import Scope

# A script that starts later than this does nothing, so that a lookup of the outcome is final.
SCRIPT_DEADLINE_MS = 5_000
NO_QUEUE = "NOQUEUE"
QUEUE_GONE = "the queue is gone, and its jobs with it"
_SCRIPT_ERRORS = (NO_QUEUE, "BADVERSION", "TOOLATE", "TOOMANY")
_MARK = re.compile(r"^-- ([a-z]+) --$", re.MULTILINE)


def read_parts(file: str) -> Mapping[str, str]:
    """Return the parts of a file of Lua, by the word of the mark before each."""
    _, *parts = _MARK.split((files(__package__) / file).read_text(encoding="utf-8"))
    return dict(zip(parts[::2], parts[1::2], strict=True))


_COMMON = read_parts("bullmq_queue.lua")
READ, WRITE = _COMMON["read"], _COMMON["read"] + _COMMON["write"]
"""The beginnings of a script that only reads, and of one that writes."""


async def deadline(redis: Redis) -> int:
    """Return the moment, by the server's clock in ms, after which a script that writes must not begin."""
    seconds, microseconds = await redis.time()
    return int(seconds) * 1000 + int(microseconds) // 1000 + SCRIPT_DEADLINE_MS


async def exists(redis: Redis, key: str) -> bool:
    """Return whether the queue exists.

    Read after its jobs: they are gone from an obliterated queue too.
    """
    return bool(await redis.exists(f"{key}:meta"))


@contextmanager
def translate_script_errors(scope: Scope) -> Iterator[None]:
    """Translate errors, reducing those of the scripts to their own message."""
    with translate_errors(scope):
        try:
            yield
        except ResponseError as error:
            if "WRONGTYPE" in str(error):
                raise TargetUnknown(f"{scope.target}: the keys of this name are not a BullMQ queue") from None
            if "can't run this command" in str(error):
                remedy = "give it those of deploy/redis/remediator-queues.acl"
                raise TargetUnreachable(f"{scope.target}: the user of admin_url lacks a right; {remedy}") from None
            code, _, message = str(error).partition(" ")
            if code not in _SCRIPT_ERRORS:
                raise
            error_type = TargetUnknown if code == NO_QUEUE else TargetUnreachable
            raise error_type(f"{scope.target}: {message}") from None


def queue_key(scope: Scope) -> str:
    """Return the prefix of the keys of the target's queue, whose name may come from an alert.

    Raises:
        TargetUnreachable: the inventory does not list the queue, or it may be another product's.
    """
    return key_of(scope, scope.target.queue or "")


def key_of(scope: Scope, queue: str) -> str:
    """Return the prefix of the keys of `queue`, another one of the same target; raises as `queue_key`."""
    queues = scope.stack.queues[scope.target.name]
    if not queue:
        raise TargetUnreachable(f"{scope.target}: the alert names no queue; add the label `queue`")
    if queues.names != "discover" and queue not in queues.names:
        names = ", ".join(map(repr, queues.names))
        raise TargetUnreachable(
            f"{scope.target}: queues.{scope.target.name}.names lists only {names}; add {queue!r} to it"
        )
    key = queues.key_of(queue)
    if key is None:
        raise TargetUnknown(f"{scope.target}: {queue!r} has none of the prefixes {', '.join(queues.prefixes)}")
    if not queues.owns(queue):
        raise TargetUnknown(
            f"{scope.target}: {queue!r} may be another product's queue; list it in names if it is yours"
        )
    return key
