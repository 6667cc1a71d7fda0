"""Since when a job could be worked on: what its hash says about that."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# The attempts stand in `attemptsMade` up to version 4 and in `atm` from 5 on. Never asks for a job's data.
FIELDS = ("timestamp", "opts", "processedOn", "attemptsMade", "atm")
Fields = Sequence[bytes | None]


@dataclass(frozen=True, slots=True)
class Ready:
    """Since when (seconds since 1970) a waiting job could be worked on, as far as its hash tells.

    `since` is None where the hash does not tell: a job that somebody retried by hand or promoted before its time, or
    that waits after a backoff of the application's own.
    """

    since: float | None


def ready(fields: Fields, now: float) -> Ready | None:
    """Return since when the job with these FIELDS can be worked on, never after `now`; None if the job is gone.

    A delay does not count, nor does the backoff after a failed try: both were asked for. `opts` keeps a delay that the
    job's own `delay` loses when it is over. A retry by hand leaves `timestamp` and takes `processedOn` away.
    """
    timestamp, options, processed, *attempts = fields
    if timestamp is None:
        return None
    asked = _settings(options)
    since = float(timestamp) + float(asked.get("delay") or 0)
    tries = max((int(attempt) for attempt in attempts if attempt is not None), default=0)
    if processed is not None:
        since = max(since, float(processed) + _backoff(asked.get("backoff"), tries))
    elif tries:
        since = math.inf
    return Ready(since / 1000 if since <= now * 1000 else None)


def _settings(options: bytes | None) -> dict[str, Any]:
    """A job's options where they matter: without the word there is neither a delay nor a backoff."""
    if options is None or (b'"delay"' not in options and b'"backoff"' not in options):
        return {}
    found = json.loads(options)
    return found if isinstance(found, dict) else {}


def _backoff(asked: Any, tries: int) -> float:
    """Milliseconds that BullMQ holds a job back after a failed try; infinite where the application says how long."""
    if not asked or not tries:
        return 0
    if not isinstance(asked, dict):
        return float(asked)
    delay, kind = float(asked.get("delay") or 0), asked.get("type")
    if asked.get("jitter") or kind not in ("fixed", "exponential"):
        return math.inf
    return delay if kind == "fixed" else delay * 2 ** (tries - 1)
