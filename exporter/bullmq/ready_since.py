"""The time since which a waiting job could have been processed, from its hash."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

# The attempts are in `attemptsMade` up to version 4 and in `atm` from 5 on. A job's data is never read.
FIELDS = ("timestamp", "opts", "processedOn", "attemptsMade", "atm")
JobFields = Sequence[bytes | None]

UNKNOWN_SINCE = math.inf
_NO_SETTINGS: Mapping[str, Any] = {}
# Limit for an exponential backoff: 2^60 ms outlast any queue, and the limit keeps the number within a float.
_MOST_DOUBLINGS = 60


def ready_since(fields: JobFields, now: float) -> float | None:
    """Return since when the job with these FIELDS could be processed, in seconds since 1970.

    None if the job is gone. UNKNOWN_SINCE if its hash does not show it: the job was retried or promoted manually, or
    waited for the application's own backoff.

    Delays and backoffs do not count as waiting. `opts` keeps the delay that the job's own `delay` loses when it ends. A
    manual retry keeps `timestamp` and removes `processedOn`.
    """
    timestamp, options, processed_on, attempts_made, atm = fields
    if timestamp is None:
        return None
    since, tries = float(timestamp), int(attempts_made or atm or 0)
    if since < 0:
        raise ValueError("a job from before 1970")
    settings = _NO_SETTINGS if options is None or b'"delay"' not in options else _settings(options)
    if settings:
        since += float(settings.get("delay") or 0)
    if processed_on is not None:
        since = max(since, float(processed_on) + _backoff(settings.get("backoff"), tries))
    elif tries:
        return UNKNOWN_SINCE
    return since / 1000 if since <= now * 1000 else UNKNOWN_SINCE


def _settings(options: bytes) -> Mapping[str, Any]:
    settings = json.loads(options)
    return settings if isinstance(settings, dict) else _NO_SETTINGS


def _backoff(backoff: Any, tries: int) -> float:
    """Return the backoff in milliseconds; infinite if the application computes it."""
    if not isinstance(backoff, dict) or not tries:
        return 0
    delay, kind = float(backoff.get("delay") or 0), backoff.get("type")
    if backoff.get("jitter") or kind not in ("fixed", "exponential"):
        return math.inf
    return delay if kind == "fixed" else delay * 2.0 ** min(tries - 1, _MOST_DOUBLINGS)
