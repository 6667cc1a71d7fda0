"""How many examples a property is tried with."""

from hypothesis import settings


def examples(count: int) -> int:
    """`count`; ten times as many where a guard has been taken out: the first one that shows it ends the test."""
    return 10 * count if settings.get_current_profile_name() == "mutants" else count
