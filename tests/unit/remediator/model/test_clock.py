"""A moment is recent within a span before now."""

from datetime import UTC, datetime, timedelta

import pytest

from remediator.model.clock import is_recent

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "recent"),
    [(-61, False), (-60, True), (-1, True), (0, True), (1, False)],
    ids=["too long ago", "just long enough ago", "within", "now", "ahead, since the clock was set back"],
)
def test_moment_is_recent_within_the_span_and_never_in_the_future(seconds: int, recent: bool) -> None:
    assert is_recent(NOW + timedelta(seconds=seconds), timedelta(minutes=1), NOW) is recent
