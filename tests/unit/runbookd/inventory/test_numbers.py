"""Numbers of the inventory: places in short and with `missing`, and what is refused."""

from typing import Any

import pytest
from pydantic import ValidationError

from runbookd.inventory.numbers import NumbersTarget

URL = "https://sentry.example/api"


def test_place_is_a_text_or_a_block() -> None:
    target = NumbersTarget.model_validate({"url": URL, "values": {"a": "x.y", "b": {"json": "/z", "missing": 0}}})
    assert [(number.place, number.missing) for number in target.values.values()] == [("x.y", None), ("/z", 0.0)]
    assert target.reads_the_body


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, "Field required"),
        ({"values": {}}, "at least 1 item"),
        ({"values": {"Bad-name": "x"}}, "should match pattern"),
        ({"values": {"a": ""}}, "at least 1 character"),
        ({"values": {"a": {"json": "x", "missing": float("nan")}}}, "finite number"),
        ({"values": {"a": "x"}, "version": "version"}, "a probe in http reads it"),
        ({"values": {"a": "x"}, "method": "HEAD"}, "the answer to HEAD has no body"),
    ],
)
def test_unusable_numbers_are_refused(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        NumbersTarget.model_validate({"url": URL, **settings})
    assert text in str(caught.value)
