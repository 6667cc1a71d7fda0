"""Listen addresses follow Prometheus' notation."""

import pytest

from runbookd.service import ListenAddress


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        (":9850", None, 9850),
        ("127.0.0.1:9851", "127.0.0.1", 9851),
        ("[::1]:9850", "::1", 9850),
        ("localhost:0", "localhost", 0),
        ("metrics.example:80", "metrics.example", 80),
    ],
)
def test_address_is_parsed_and_formatted_back(text: str, host: str | None, port: int) -> None:
    assert ListenAddress.parse(text) == ListenAddress(host, port)
    assert str(ListenAddress.parse(text)) == text


@pytest.mark.parametrize("text", ["", "9850", "127.0.0.1", "::1:9850", "[::1]", "[shop]:1", ":65536", ":-1", "a b:1"])
def test_invalid_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write :9850"):
        ListenAddress.parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:1", True),
        ("127.9.9.9:1", True),
        ("[::1]:1", True),
        ("localhost:1", True),
        (":1", False),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("db.example:1", False),
    ],
)
def test_loopback_address_is_recognized(text: str, expected: bool) -> None:
    assert ListenAddress.parse(text).on_loopback is expected
