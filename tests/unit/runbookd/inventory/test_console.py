"""The address of the console, which messages show to everybody."""

import pytest
from pydantic import ValidationError

from runbookd.inventory.console import Console


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://runbookd.example", "https://runbookd.example"),
        ("https://runbookd.example/", "https://runbookd.example"),
        ("http://127.0.0.1:9851", "http://127.0.0.1:9851"),
    ],
)
def test_address_is_reduced_to_its_origin(url: str, origin: str) -> None:
    assert Console.model_validate({"url": url}).url == origin


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("runbookd.example", "is no address of a console"),
        ("ftp://runbookd.example", "is no address of a console"),
        ("https://", "is no address of a console"),
        ("https://oncall:hunter2@runbookd.example", "such as https://runbookd.example"),
        ("https://runbookd.example/console", "must be scheme, host and port alone"),
        ("https://runbookd.example?token=x", "must be scheme, host and port alone"),
    ],
)
def test_address_with_more_than_an_origin_is_refused(url: str, text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Console.model_validate({"url": url})
    assert text in str(caught.value)
