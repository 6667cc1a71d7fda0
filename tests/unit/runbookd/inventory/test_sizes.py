"""Sizes are parsed, formatted and parsed back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from runbookd.inventory.sizes import LARGEST, Size, format_size, parse_size


@pytest.mark.parametrize(("text", "size"), [("1", 1), ("10KiB", 10_240), ("200MiB", 200 * 2**20), ("5GiB", 5 * 2**30)])
def test_size_is_parsed_in_every_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


@given(st.integers(min_value=1, max_value=LARGEST))
def test_formatted_size_is_parsed_back_unchanged(size: int) -> None:
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "5GB", "5 GiB", "1.5GiB", "GiB", "\u0665GiB", "9" * 15 + "TiB", "1025TiB"]
)
def test_text_that_is_not_a_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="size"):
        parse_size(text)


@pytest.mark.parametrize("value", [True, 1.5, None, []])
def test_value_that_is_not_a_size_is_refused(value: object) -> None:
    with pytest.raises(ValidationError, match="a size is a text"):
        TypeAdapter(Size).validate_python(value)
