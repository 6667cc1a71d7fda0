"""A formatted line is short and unambiguous."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.model.logfmt import format_pairs, format_value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("shop-checkout", "shop-checkout"),
        ("two words", '"two words"'),
        ("a=b", '"a=b"'),
        ('say "x"', r'"say \"x\""'),
        ("2026-11-21T15:46:35.123515+00:00", "2026-11-21T15:46:35Z"),
        ("2026-11-21T15:46:35Z", "2026-11-21T15:46:35Z"),
        ("Grüße", "Grüße"),
        ("a\nb", r'"a\nb"'),
        ("a\u2028b", r'"a\u2028b"'),
        (20.1, "20.1"),
        (True, "true"),
        (None, "none"),
        ({"name": "n", "size": 3}, "{name=n size=3}"),
        (["a", "b c", 2], '[a, "b c", 2]'),
        ([["a", 1], ["b c", 2]], "(2 rows)"),
    ],
)
def test_value_is_formatted(value: Any, expected: str) -> None:
    assert format_value(value) == expected


def test_empty_values_are_omitted_and_zero_is_not() -> None:
    assert format_pairs({"a": {}, "b": [], "c": "", "d": 0, "e": False}) == "d=0 e=false"


@given(
    st.dictionaries(st.sampled_from("ab"), st.text() | st.lists(st.text()) | st.dictionaries(st.just("c"), st.text()))
)
def test_no_text_breaks_the_line_into_two(values: dict[str, Any]) -> None:
    assert format_pairs(values) == "" or format_pairs(values).splitlines() == [format_pairs(values)]


@given(st.text(min_size=1))
def test_text_is_one_word_or_quoted(text: str) -> None:
    shown = format_value(text)
    assert shown.startswith('"') or not any(each in shown for each in ' "=,{}[]\t\n')
