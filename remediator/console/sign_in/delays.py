"""The time that a guesser has to wait. An operator at a known address waits seconds, never minutes."""

from datetime import datetime, timedelta

from remediator.ledger.sign_in_failures import Failures

FREE_PER_NAME, FREE_PER_ADDRESS = 3, 10  # failures without a delay
LONGEST = timedelta(minutes=15)
LONGEST_OF_KNOWN = timedelta(seconds=5)
_MAX_DOUBLINGS = 20


def waiting_time(of_name: Failures, of_address: Failures, now: datetime, *, is_known: bool) -> timedelta:
    """Return how long to wait before the next attempt; the failures of a known address count only with a name."""
    waits = [_remaining(of_name, FREE_PER_NAME, LONGEST_OF_KNOWN if is_known else LONGEST, now)]
    if not is_known:
        waits.append(_remaining(of_address, FREE_PER_ADDRESS, LONGEST, now))
    return max(waits)


def _remaining(failures: Failures, free: int, longest: timedelta, now: datetime) -> timedelta:
    """Return the rest of a delay that doubles with each failure beyond the free ones."""
    if failures.last_at is None or failures.count < free:
        return timedelta(0)
    delay = min(timedelta(seconds=2 ** min(failures.count - free, _MAX_DOUBLINGS)), longest)
    return max(failures.last_at + delay - now, timedelta(0))
