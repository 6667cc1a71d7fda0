"""A picture is refused for an error of its page, an error of a panel, and an empty panel without a reason."""

from dataclasses import replace

import pytest

from tools.pictures.drawing import Outcome, Picture
from tools.pictures.judge import problems

SESSIONS = Outcome("Sessions", "timeseries", frames=2, rows=40, error=None)


def _problems(*outcomes: Outcome, errors: tuple[str, ...] = (), reasons: tuple[str, ...] = ()) -> list[str]:
    return list(problems("stack", Picture(b"", outcomes, errors), dict.fromkeys(reasons, "Nothing happened.")))


def test_board_with_data_in_every_panel_has_no_problem() -> None:
    assert _problems(SESSIONS) == []


@pytest.mark.parametrize("frames", [0, 1], ids=["no frame", "a frame without rows"])
def test_panel_without_rows_is_a_problem_unless_it_has_a_reason(frames: int) -> None:
    empty = replace(SESSIONS, frames=frames, rows=0)
    assert _problems(empty) == [
        "stack/Sessions is empty: correct its query, or write its reason into grafana/empty_panels.yml"
    ]
    assert _problems(empty, reasons=("stack/Sessions",)) == []
    assert _problems(empty, reasons=("redis/Sessions",)) != []


def test_error_of_a_panel_is_a_problem_even_with_a_reason_to_be_empty() -> None:
    broken = replace(SESSIONS, frames=0, rows=0, error="bad_data: parse error")
    assert _problems(broken, reasons=("stack/Sessions",)) == ["stack/Sessions: bad_data: parse error"]


def test_error_on_the_console_of_the_page_is_a_problem() -> None:
    assert _problems(SESSIONS, errors=("TypeError: x is undefined",)) == ["stack: TypeError: x is undefined"]


def test_text_needs_no_data() -> None:
    assert _problems(Outcome("Read me", "text", frames=0, rows=0, error=None)) == []
