"""The number of examples per property test."""

from hypothesis import settings


def examples(count: int) -> int:
    """Return `count`, or ten times that for mutants, where the first failing example ends the test."""
    return 10 * count if settings.get_current_profile_name() == "mutants" else count
