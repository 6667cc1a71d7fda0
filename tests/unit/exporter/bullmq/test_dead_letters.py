"""The setting `dead_letter` gives each queue its dead-letter queue."""

import pytest

from exporter.bullmq.dead_letters import DeadLetters


@pytest.mark.parametrize(
    ("setting", "names", "expected"),
    [
        ("{name}-dlq", ["mail"], {"mail": "mail-dlq"}),
        ("{name}-dlq", ["mail", "mail-dlq"], {"mail": "mail-dlq"}),
        ("{name}-dlq", ["mail-dlq"], {"mail": "mail-dlq"}),
        ("dead.{name}", ["mail", "deadly"], {"mail": "dead.mail", "deadly": "dead.deadly"}),
        ("{name}-dlq", ["-dlq"], {"-dlq": "-dlq-dlq"}),
        (None, ["mail", "mail-dlq"], {}),
        ("failed", ["mail", "mail-dlq"], {}),
        ({"mail": "grave"}, ["mail", "grave", "other"], {"mail": "grave", "other": None}),
        ({"mail": "grave", "post": "grave"}, ["mail", "grave"], {"mail": "grave", "post": "grave"}),
        ({"mail": "grave"}, [], {"mail": "grave"}),
    ],
)
def test_setting_maps_each_queue_to_its_dead_letter_queue(
    setting, names: list[str], expected: dict[str, str | None]
) -> None:
    assert DeadLetters(setting).queues_of(names) == expected


def test_only_the_word_failed_selects_the_failed_jobs() -> None:
    assert [DeadLetters(setting).in_failed for setting in ("failed", "failed-{name}", None)] == [True, False, False]
