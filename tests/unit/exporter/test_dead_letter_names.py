"""Which queue is the dead-letter queue of which."""

import pytest

from exporter.collectors.queues import DeadLetterNames


@pytest.mark.parametrize(
    ("pattern", "names", "expected"),
    [
        ("{name}-dlq", ["mail"], {"mail": "mail-dlq"}),
        ("{name}-dlq", ["mail", "mail-dlq"], {"mail": "mail-dlq"}),
        ("{name}-dlq", ["mail-dlq"], {"mail": "mail-dlq"}),
        ("dead.{name}", ["mail", "deadly"], {"mail": "dead.mail", "deadly": "dead.deadly"}),
        ("{name}-dlq", ["-dlq"], {"-dlq": "-dlq-dlq"}),
        (None, ["mail", "mail-dlq"], {}),
    ],
)
def test_pairs(pattern: str | None, names: list[str], expected: dict[str, str]) -> None:
    assert DeadLetterNames(pattern).pairs(names) == expected
