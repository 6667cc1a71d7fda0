"""Bodies of real Alertmanagers are parsed; any other body is refused with one line."""

import contextlib
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.model.delivery import parse_delivery
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
        (delivery().replace(b"2026-03-01T11:59:00Z", b"2026-03-01T11:59:00"), "timezone"),
    ],
)
def test_malformed_body_is_refused_with_one_line(body: bytes, reason: str) -> None:
    with pytest.raises(MalformedDelivery) as caught:
        parse_delivery(body)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


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
