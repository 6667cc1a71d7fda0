"""Since when a job could be worked on: what its hash says about that."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

# The attempts stand in `attemptsMade` up to version 4 and in `atm` from 5 on. Never asks for a job's data.
FIELDS = ("timestamp", "opts", "processedOn", "attemptsMade", "atm")
Fields = Sequence[bytes | None]


UNTOLD = math.inf
_NOTHING: Mapping[str, Any] = {}
# Of a backoff; a millisecond doubled so often lasts longer than any queue, and twice that soon is no float.
_MOST_DOUBLINGS = 60


def ready(fields: Fields, now: float) -> float | None:
    """Return since when (seconds since 1970) the waiting job with these FIELDS could be worked on.

    None if the job is gone, UNTOLD where its hash does not tell: somebody retried it by hand or promoted it before its
    time, or it waited for a backoff of the application's own.

    A delay does not count, nor does the backoff after a failed try: both were asked for. `opts` keeps a delay that the
    job's own `delay` loses when it is over. A retry by hand leaves `timestamp` and takes `processedOn` away.
    """
    timestamp, options, processed, made, atm = fields
    if timestamp is None:
        return None
    since, tries = float(timestamp), int(made or atm or 0)
    asked = _NOTHING if options is None or b'"delay"' not in options else _settings(options)
    if asked:
        since += float(asked.get("delay") or 0)
    if processed is not None:
        since = max(since, float(processed) + _backoff(asked.get("backoff"), tries))
    elif tries:
        return UNTOLD
    return since / 1000 if since <= now * 1000 else UNTOLD


def _settings(options: bytes) -> Mapping[str, Any]:
    found = json.loads(options)
    return found if isinstance(found, dict) else _NOTHING


def _backoff(asked: Any, tries: int) -> float:
    """Milliseconds that BullMQ holds a job back after a failed try; infinite where the application says how long."""
    if not isinstance(asked, dict) or not tries:
        return 0
    delay, kind = float(asked.get("delay") or 0), asked.get("type")
    if asked.get("jitter") or kind not in ("fixed", "exponential"):
        return math.inf
    return delay if kind == "fixed" else delay * 2.0 ** min(tries - 1, _MOST_DOUBLINGS)
