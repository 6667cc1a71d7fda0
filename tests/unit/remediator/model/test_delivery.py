"""Bodies of real Alertmanagers are parsed; any other body is refused with one line."""

import contextlib
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.model.delivery import MAX_REFUSAL, parse_delivery
from remediator.model.errors import MalformedDelivery
from tests.unit.remediator.payloads import alert, delivery

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def test_nanoseconds_are_cut_to_microseconds() -> None:
    (read,) = parse_delivery(delivery(starts="2026-03-01T11:59:00.123456789+01:00")).alerts
    assert read.started == datetime(2026, 3, 1, 10, 59, 0, 123456, tzinfo=UTC)


def test_unknown_and_missing_optional_keys_are_accepted() -> None:
    newer = json.loads(delivery()) | {"notification_reason": "repeat", "routeLabels": {"a": "b"}}
    older = {"version": "4", "alerts": [{name: alert()[name] for name in ("status", "labels", "startsAt")}]}
    assert parse_delivery(json.dumps(newer).encode()).alerts[0].key == "f1"
    assert len(parse_delivery(json.dumps(older).encode()).alerts[0].key) == 16


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "Invalid JSON"),
        (b"[]", "Input should be an object"),
        (b"{}", "version"),
        (delivery().replace(b'"4"', b'"3"'), "version: Input should be '4'"),
        (delivery().replace(b'"firing", "labels"', b'"smouldering", "labels"'), "alerts.0.status"),
        (delivery().replace(b'"startsAt"', b'"began"'), "alerts.0.startsAt"),
        (delivery([alert()] * 1001), "at most 1000"),
        (b'{"version": "4", "alerts": [], "truncatedAlerts": "many"}', "truncatedAlerts"),
        (b'{"version": "4", "alerts": [], "truncatedAlerts": true}', "truncatedAlerts"),
        (b'{"version": "4", "alerts": [], "truncatedAlerts": "3"}', "truncatedAlerts"),
        (delivery().replace(b'"2026-03-01T11:59:00Z"', b"5"), "startsAt: is not a moment"),
        (delivery().replace(b'"2026-03-01T11:59:00Z"', b'"-5"'), "startsAt: is not a moment"),
        (delivery().replace(b'"shop"', b'{"x": 1}'), "labels.stack"),
        (delivery().replace(b"2026-03-01T11:59:00Z", b"2026-03-01T11:59:00"), "timezone"),
    ],
)
def test_malformed_body_is_refused_with_one_line(body: bytes, reason: str) -> None:
    with pytest.raises(MalformedDelivery) as caught:
        parse_delivery(body)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_refusal_of_a_body_with_long_keys_is_short() -> None:
    body = json.loads(delivery())
    body["alerts"][0]["labels"] = {"k\n" * 100_000: 1}
    with pytest.raises(MalformedDelivery) as caught:
        parse_delivery(json.dumps(body).encode())
    assert len(str(caught.value)) <= MAX_REFUSAL
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("number", "truncated"), [(-5, False), (0, False), (1, True), (10**30, True)])
def test_number_of_truncated_alerts_counts_only_above_zero(number: int, truncated: bool) -> None:
    body = json.loads(delivery()) | {"truncatedAlerts": number}
    assert parse_delivery(json.dumps(body).encode()).is_truncated is truncated


@pytest.mark.parametrize("start", ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "2999-01-01T00:00:00Z"])
def test_alert_with_an_implausible_start_fires_since_its_receipt(start: str) -> None:
    (read,) = parse_delivery(delivery(starts=start)).alerts
    received_at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert read.fires_since(received_at) == received_at


@given(JSON)
def test_any_json_is_parsed_or_refused(value: object) -> None:
    with contextlib.suppress(MalformedDelivery):
        assert parse_delivery(json.dumps(value).encode()).version == "4"


@given(st.binary(max_size=200))
def test_random_bytes_are_refused(body: bytes) -> None:
    with pytest.raises(MalformedDelivery):
        parse_delivery(body)


@given(st.text(), st.text(), st.text())
def test_labels_may_hold_any_text(stack: str, target: str, queue: str) -> None:
    (read,) = parse_delivery(delivery(stack=stack, target=target, queue=queue)).alerts
    assert read.labels["queue"] == queue
