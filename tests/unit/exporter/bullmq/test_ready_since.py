"""The time since which a job could be processed."""

import pytest

from exporter.bullmq.ready_since import UNKNOWN_SINCE, ready_since

NOW = 1_000_000.0  # seconds
FIXED, EXPONENTIAL = '{"backoff":{"type":"fixed","delay":10000}}', '{"backoff":{"type":"exponential","delay":10000}}'


def job(
    added: float | None,
    options: str | None = "{}",
    started: float | None = None,
    made: int | None = None,
    v5: bool = True,
) -> list[bytes | None]:
    """Return a job added and last started these seconds ago, after `made` attempts."""
    tries = None if made is None else str(made).encode()
    times = [None if age is None else str(int((NOW - age) * 1000)).encode() for age in (added, started)]
    fields = [times[0], None if options is None else options.encode(), times[1]]
    return [*fields, *((None, tries) if v5 else (tries, None))]


@pytest.mark.parametrize(
    ("fields", "age"),
    [
        (job(120), 120),
        (job(120, None), 120),
        (job(120, '{"delay": 100000}'), 20),  # added with a delay of 100 s
        (job(120, '{"delay":0,"attempts":3}'), 120),
        (job(120, '{"delay":null}'), 120),
        (job(120, "[]"), 120),
        (job(120, '["\\"delay\\""]'), 120),
        (job(7200, started=30, made=1), 30),  # retried: it has waited since its last attempt at most
        (job(7200, started=30), 30),  # found stalled
        (job(7200, FIXED), 7200),  # a backoff counts only after a failed attempt
        (job(7200, FIXED, started=30, made=1), 20),
        (job(7200, FIXED, started=100, made=3), 90),
        (job(7200, EXPONENTIAL, started=100, made=1), 90),
        (job(7200, EXPONENTIAL, started=100, made=3), 60),
        (job(7200, EXPONENTIAL, started=100, made=3, v5=False), 60),
        (job(7200, '{"backoff":{"type":"fixed","delay":10000},"delay":7190000}', started=5, made=1), None),
        (job(120, '{"delay": 100000}', started=5), 5),
    ],
)
def test_ready_time_follows_from_the_jobs_fields(fields, age: float | None) -> None:
    point = ready_since(fields, NOW)
    assert point is not None
    assert point == UNKNOWN_SINCE if age is None else NOW - point == pytest.approx(age)


@pytest.mark.parametrize(
    "fields",
    [
        job(10, '{"delay": 600000}'),  # promoted before its time
        job(-5),  # a clock ahead of ours
        job(7200, made=1),  # retried by hand
        job(7200, made=2, v5=False),
        job(7200, '{"backoff":{"type":"mine","delay":5}}', started=30, made=1),  # the application's own backoff
        job(7200, '{"backoff":{"type":"fixed","delay":5,"jitter":0.5}}', started=30, made=1),
        job(7200, FIXED, started=5, made=1),  # promoted during its backoff
        job(7200, EXPONENTIAL, started=30, made=1025),  # backoff beyond the range of a float
        job(7200, EXPONENTIAL, started=30, made=10**9),
        job(7200, '{"backoff":{"type":"exponential","delay":1e308}}', started=30, made=100),
    ],
)
def test_ready_time_is_unknown_for_ambiguous_fields(fields) -> None:
    assert ready_since(fields, NOW) == UNKNOWN_SINCE


def test_vanished_job_has_no_ready_time() -> None:
    assert ready_since([None] * 5, NOW) is None


@pytest.mark.parametrize("fields", [[b"soon", None, None, None, None], [b"1", b'{"delay"', None, None, None]])
def test_malformed_fields_raise_an_error(fields) -> None:
    with pytest.raises(ValueError):
        ready_since(fields, NOW)
