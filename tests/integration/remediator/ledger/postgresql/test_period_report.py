"""The report of a period from a ledger in PostgreSQL: the same words."""

from tests.unit.remediator.reports.test_period import (
    test_report_of_one_stack_has_nothing_of_the_others,
    test_report_reads_as_expected_in_every_format,
    test_report_says_that_it_covers_less_than_it_was_asked_for,
    test_run_of_another_release_without_settings_is_evidence,
    week,
)

__all__ = [
    "test_report_of_one_stack_has_nothing_of_the_others",
    "test_report_reads_as_expected_in_every_format",
    "test_report_says_that_it_covers_less_than_it_was_asked_for",
    "test_run_of_another_release_without_settings_is_evidence",
    "week",
]
