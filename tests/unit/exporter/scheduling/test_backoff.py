"""Consecutive failures lead to longer waits; one success resets them."""

from exporter.scheduling.backoff import Backoff
from exporter.scheduling.outcome import Failure

FAILURE = Failure("refused")


def test_waits_double_up_to_ten_seconds() -> None:
    backoff = Backoff()
    waits = []
    for _ in range(8):
        backoff.record_failure(FAILURE, 0.0)
        waits.append(backoff.wait)
    # 0.5 · 2^n with up to 0.5 s of jitter
    for wait, (low, high) in zip(waits, [(0.5, 1), (1, 1.5), (2, 2.5), (4, 4.5), (8, 8.5)], strict=False):
        assert low <= wait <= high
    assert waits[5:] == [10, 10, 10]


def test_waits_double_up_to_the_given_limit() -> None:
    backoff = Backoff(60.0)
    for _ in range(10):
        backoff.record_failure(FAILURE, 0.0)
    assert backoff.wait == 60


def test_waits_have_jitter() -> None:
    def first() -> float:
        backoff = Backoff()
        backoff.record_failure(FAILURE, 0.0)
        return backoff.wait

    assert len({first() for _ in range(10)}) > 5


def test_retry_must_wait_until_the_wait_is_over() -> None:
    backoff = Backoff()
    assert not backoff.must_wait(100.0)
    backoff.record_failure(FAILURE, 100.0)
    assert backoff.failure == FAILURE
    assert backoff.must_wait(100.4)
    assert not backoff.must_wait(101.1)


def test_success_resets_the_waits() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.record_failure(FAILURE, 100.0)
    backoff.record_success()
    assert not backoff.must_wait(100.0)
    assert backoff.failure is None
    backoff.record_failure(FAILURE, 100.0)
    assert backoff.wait <= 1
