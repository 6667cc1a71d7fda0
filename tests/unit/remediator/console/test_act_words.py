"""The words of the buttons that act."""

import pytest

from remediator.console.act_words import WORDS, act_words, short_target
from remediator.model.episode_key import EpisodeKey
from remediator.remediations import REMEDIATIONS


@pytest.mark.parametrize("remediation", REMEDIATIONS)
def test_every_remediation_has_words(remediation: str) -> None:
    assert remediation in WORDS


@pytest.mark.parametrize(
    ("remediation", "target", "count", "undoes", "words"),
    [
        ("terminate_idle_transactions", "shop/postgres/main", 3, None, "Terminate 3 sessions on shop/main"),
        ("terminate_idle_transactions", "shop/postgres/main", 1, None, "Terminate 1 session on shop/main"),
        ("retry_failed_jobs", "shop/queues/jobs/emails", 100, None, "Retry 100 jobs on shop/jobs/emails"),
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


def test_odd_target_is_shown_as_it_is() -> None:
    assert short_target("nonsense") == "nonsense"
