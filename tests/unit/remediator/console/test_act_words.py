"""The words of the buttons that act."""

import pytest

from remediator.console.act_words import act_words, done_words, short_target
from remediator.model.episode_key import EpisodeKey
from remediator.model.remediation import ItemState as I
from remediator.remediations import REMEDIATIONS


@pytest.mark.parametrize("remediation", REMEDIATIONS)
def test_every_remediation_has_words(remediation: str) -> None:
    assert REMEDIATIONS[remediation].words is not None, f"add words=ActWords(...) to {remediation}.py"


@pytest.mark.parametrize(
    ("remediation", "target", "count", "undoes", "words"),
    [
        ("terminate_idle_transactions", "shop/postgres/main", 3, None, "Terminate 3 sessions on shop/main"),
        ("terminate_idle_transactions", "shop/postgres/main", 1, None, "Terminate 1 session on shop/main"),
        ("retry_failed_jobs", "shop/queues/jobs/emails", 100, None, "Retry 100 failed jobs on shop/jobs/emails"),
        ("restart_service", "shop/services/api", 1, None, "Restart the service shop/api"),
        ("collect_diagnostics", "shop/stack/shop", 4, None, "Read 4 parts on shop"),
        ("unheard_of", "shop/folders/logs", 2, None, "Unheard of: 2 items on shop/logs"),
        ("pause_queue", "shop/queues/jobs/emails", 1, 7, "Undo run 7: put back 1 item on shop/jobs/emails"),
    ],
)
def test_button_names_the_act_the_number_and_the_target(
    remediation: str, target: str, count: int, undoes: int | None, words: str
) -> None:
    assert act_words(EpisodeKey("shop", remediation, target), count, undoes) == words


@pytest.mark.parametrize(
    ("remediation", "counts", "undoes", "words"),
    [
        ("retry_failed_jobs", {I.APPLIED: 21}, None, "21 of 21 failed jobs retried"),
        ("retry_failed_jobs", {I.APPLIED: 1, I.SKIPPED: 2}, None, "1 of 3 failed jobs retried, 2 skipped"),
        ("retry_failed_jobs", {I.FAILED: 1, I.PLANNED: 2}, None, "0 of 3 failed jobs retried, 1 failed, 2 not begun"),
        ("prune_files", {I.NOT_APPLIED: 1}, None, "0 of 1 old file deleted, 1 not applied"),
        ("restart_service", {I.APPLIED: 1}, None, "Restarted the service shop/api"),
        ("restart_service", {I.UNKNOWN: 1}, None, "0 of 1 item applied, 1 unknown"),
        ("pause_queue", {I.APPLIED: 1}, 7, "1 of 1 item put back"),
        ("unheard_of", {I.APPLIED: 2}, None, "2 of 2 items applied"),
        ("retry_failed_jobs", {}, None, ""),
    ],
)
def test_what_was_done_is_counted(remediation: str, counts: dict[I, int], undoes: int | None, words: str) -> None:
    assert done_words(EpisodeKey("shop", remediation, "shop/services/api"), counts, undoes) == words


def test_odd_target_is_shown_as_it_is() -> None:
    assert short_target("nonsense") == "nonsense"
