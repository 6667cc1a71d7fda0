"""The deadline of a scrape: a time on the event loop's clock, computed once."""

import math

# Prometheus gives up at its timeout, and the answer needs time to arrive.
MARGIN_SECONDS = 0.5
# Prometheus' default, for clients that send no header.
DEFAULT_TIMEOUT_SECONDS = 10.0
HEADER = "X-Prometheus-Scrape-Timeout-Seconds"


def deadline_of(header: str | None, now: float) -> float:
    """Return the deadline of a request received at `now`. An invalid header counts as absent."""
    timeout = _seconds(header)
    return now + timeout - min(MARGIN_SECONDS, timeout / 2)


def _seconds(header: str | None) -> float:
    try:
        seconds = float(header or "")
    except ValueError:
        return DEFAULT_TIMEOUT_SECONDS
    return seconds if math.isfinite(seconds) and seconds > 0 else DEFAULT_TIMEOUT_SECONDS
