"""Keeps a target that is down from being asked at every turn."""

from tenacity import AsyncRetrying, RetryCallState, wait_exponential_jitter

from exporter.scheduling.outcome import Failure

# Short at first, because a restart takes seconds; never long, because the first good reading ends an alert.
LONGEST_SECONDS = 10.0


class Backoff:
    """Says when a target may be tried again: 0.5 s after the first failure, doubling up to `longest`, with jitter.

    `failure` is the last one, `wait` the seconds to wait after it. Points in time are given in, on the event loop's
    clock.
    """

    def __init__(self, longest: float = LONGEST_SECONDS) -> None:
        self._next_wait = wait_exponential_jitter(multiplier=0.5, max=longest, jitter=0.5)
        self.record_success()

    def record_success(self) -> None:
        """Forget all failures."""
        self._state = RetryCallState(AsyncRetrying(), None, (), {})
        self._until = self.wait = 0.0
        self.failure: Failure | None = None

    def record_failure(self, failure: Failure, now: float) -> None:
        """Note a failure; each one in a row doubles the wait."""
        self.failure = failure
        self.wait = self._next_wait(self._state)
        self._until = now + self.wait
        self._state.attempt_number += 1

    def must_wait(self, now: float) -> bool:
        """Whether it is too early to try again."""
        return now < self._until
