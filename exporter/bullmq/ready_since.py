"""Since when a job could be worked on: what its hash says about that."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

# The attempts stand in `attemptsMade` up to version 4 and in `atm` from 5 on. Never asks for a job's data.
FIELDS = ("timestamp", "opts", "processedOn", "attemptsMade", "atm")
JobFields = Sequence[bytes | None]


UNKNOWN_SINCE = math.inf
_NO_SETTINGS: Mapping[str, Any] = {}
# Of a backoff; a millisecond doubled so often lasts longer than any queue, and twice that soon is no float.
_MOST_DOUBLINGS = 60


def ready_since(fields: JobFields, now: float) -> float | None:
    """Return since when (seconds since 1970) the waiting job with these FIELDS could be worked on.

    None if the job is gone, UNKNOWN_SINCE where its hash does not tell: somebody retried it by hand or promoted it
    before its time, or it waited for a backoff of the application's own.

    A delay does not count, nor does the backoff after a failed try: both were asked for. `opts` keeps a delay that the
    job's own `delay` loses when it is over. A retry by hand leaves `timestamp` and takes `processedOn` away.
    """
    timestamp, options, processed_on, attempts_made, atm = fields
    if timestamp is None:
        return None
    since, tries = float(timestamp), int(attempts_made or atm or 0)
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
    """Milliseconds that BullMQ holds a job back after a failed try; infinite where the application says how long."""
    if not isinstance(backoff, dict) or not tries:
        return 0
    delay, kind = float(backoff.get("delay") or 0), backoff.get("type")
    if backoff.get("jitter") or kind not in ("fixed", "exponential"):
        return math.inf
    return delay if kind == "fixed" else delay * 2.0 ** min(tries - 1, _MOST_DOUBLINGS)
