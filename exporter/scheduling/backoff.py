"""Delays retries of a target that is down."""

from tenacity import AsyncRetrying, RetryCallState, wait_exponential_jitter

from exporter.scheduling.outcome import Failure

# Short, because a restart takes seconds and the first good reading ends an alert.
LONGEST_SECONDS = 10.0


class Backoff:
    """The wait before a retry.

    It is 0.5 s after the first failure and doubles up to `longest`, with jitter. `failure` is the last failure, `wait`
    the seconds to wait after it. Callers pass times on the event loop's clock.
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
        """Record a failure; each consecutive one doubles the wait."""
        self.failure = failure
        self.wait = self._next_wait(self._state)
        self._until = now + self.wait
        self._state.attempt_number += 1

    def must_wait(self, now: float) -> bool:
        """Whether it is too early for a retry."""
        return now < self._until
