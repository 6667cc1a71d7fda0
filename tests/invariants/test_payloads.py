"""Input from outside: valid bodies are accepted, others answered with 4xx, and label text stays a name."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remediator.model.delivery import MAX_ALERTS, parse_delivery
from remediator.model.episode_key import EpisodeKey
from remediator.model.errors import MalformedDelivery
from remediator.model.target import MAX_NAME, ResolvedTarget, UnresolvedTarget, key_of, resolve_target
from remediator.remediations import REMEDIATIONS
from runbookd.inventory import Inventory
from tests.inventory_data import data_of
from tests.unit.remediator.payloads import alert, delivery

TEXT = st.text(max_size=80)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
WHEN = st.datetimes().map(lambda moment: f"{moment.isoformat()}Z") | st.just("0001-01-01T00:00:00Z")
ALERT = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["firing", "resolved"]),
        "labels": st.dictionaries(TEXT, TEXT, max_size=6),
        "startsAt": WHEN,
    },
    optional={
        "annotations": st.dictionaries(TEXT, TEXT, max_size=3),
        "endsAt": WHEN,
        "generatorURL": TEXT,
        "fingerprint": TEXT,
        "added_by_a_later_release": JSON,
    },
)
BODY = st.fixed_dictionaries(
    {"version": st.just("4"), "alerts": st.lists(ALERT, max_size=5)},
    optional={
        "truncatedAlerts": st.integers(0, 2**63),
        "notification_reason": TEXT,
        "routeLabels": st.dictionaries(TEXT, TEXT, max_size=3),
        "groupLabels": st.dictionaries(TEXT, TEXT, max_size=3),
        "added_by_a_later_release": JSON,
    },
)
SHOP = Inventory.model_validate(
    {
        "stacks": {
            "shop": {
                "postgres": {"main": {"dsn": "postgresql://db/shop"}},
                "redis": {"main": {"url": "redis://cache"}},
                "queues": {"jobs": {"redis": "main", "names": ["mail"]}},
            }
        }
    }
)
HOSTILE = st.sampled_from(
    [
        *(
            "$(reboot)",
            "`id`",
            "; DROP TABLE jobs; --",
            "' OR '1'='1",
            "../../etc/passwd",
            "main/../main",
            "shop/postgres",
        ),
        *(
            "main\0",
            "main ",
            " main",
            "MAIN",
            "main\n",
            "*",
            "{name}",
            "%s",
            "\u202emain",
            "jobs/mail",
            "main/main",
            "",
        ),
    ]
)


@given(BODY)
@settings(max_examples=150)
def test_every_valid_body_is_parsed(body: Any) -> None:
    """Invariant 22."""
    parsed = parse_delivery(json.dumps(body).encode())
    assert [each.status for each in parsed.alerts] == [each["status"] for each in body["alerts"]]
    assert all(each.started.tzinfo is not None and each.started.year > 1 for each in parsed.alerts)


@given(JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=300))
@settings(max_examples=150)
def test_any_other_body_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedDelivery) as caught:
        parse_delivery(body)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        delivery([]).replace(b'"4"', b'"3"'),
        delivery([{**alert(), "status": "pending"}]),
        delivery([{**alert(), "startsAt": "yesterday"}]),
        delivery([{**alert(), "labels": {"stack": 1}}]),
        delivery([alert()] * (MAX_ALERTS + 1)),
        b"[" * 100_000,
        b'{"version": "4", "alerts": [], "truncatedAlerts": ' + b"9" * 5_000 + b"}",
    ],
)
def test_nearly_valid_body_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedDelivery):
        parse_delivery(body)


@given(
    stack=HOSTILE | st.just("shop") | TEXT,
    target=HOSTILE | st.sampled_from(["main", "jobs"]) | TEXT,
    queue=HOSTILE | st.just("mail") | TEXT,
    remediation=st.sampled_from([*REMEDIATIONS, "retry_failed_jobs; reboot"]),
    more=st.dictionaries(TEXT, TEXT, max_size=3),
)
@settings(max_examples=300)
def test_label_text_is_used_only_as_a_name_in_the_inventory(
    stack: str, target: str, queue: str, remediation: str, more: dict[str, str]
) -> None:
    """Invariant 18: a remediation gets names of the inventory only, never the text of an alert."""
    labels = {**more, "stack": stack, "target": target, "queue": queue, "remediation": remediation}
    key = key_of(labels, REMEDIATIONS)
    assert all(len(part) <= 4 * MAX_NAME and "\0" not in part for part in (key.stack, key.remediation, key.target))
    target_or_error = resolve_target(SHOP, REMEDIATIONS, key)
    if isinstance(target_or_error, UnresolvedTarget):
        return
    assert target_or_error.stack is SHOP.stacks["shop"]
    assert target_or_error.remediation is REMEDIATIONS[remediation]
    whole_stack = ("shop", "shop")  # a remediation for a stack instead of a target
    assert (target_or_error.name.stack, target_or_error.name.name) in {("shop", "main"), ("shop", "jobs"), whole_stack}
    assert target_or_error.name.queue in {None, "mail"}
    assert EpisodeKey("shop", remediation, str(target_or_error.name)) == key, "a target has one key"


@pytest.mark.parametrize("queue", ["tenant2:mail", ":mail", "mail:", "a:b:c"])
def test_queue_of_a_longer_prefix_is_not_resolved(queue: str) -> None:
    """Invariant 18: with the prefixes bull and bull:tenant2, tenant2:mail is another product's queue mail."""
    stack = data_of(SHOP.stacks["shop"])
    del stack["postgres"]
    stack["redis"]["main"]["url"] = "redis://cache"
    stack["queues"]["jobs"]["names"] = "discover"
    discovered = Inventory.model_validate({"stacks": {"shop": stack}})
    labels = {"stack": "shop", "target": "jobs", "queue": queue, "remediation": "retry_failed_jobs"}
    answer = resolve_target(discovered, REMEDIATIONS, key_of(labels, REMEDIATIONS))
    assert isinstance(answer, UnresolvedTarget)
    assert "may be another product's queue" in answer.detail


def test_long_label_is_truncated() -> None:
    """Invariant 18."""
    key = key_of(dict.fromkeys(("stack", "target", "queue", "remediation"), "x" * 100_000), REMEDIATIONS)
    assert max(len(part) for part in (key.stack, key.remediation, key.target)) <= 4 * MAX_NAME


def test_valid_names_resolve_to_a_target() -> None:
    labels = {"stack": "shop", "target": "jobs", "queue": "mail", "remediation": "retry_failed_jobs"}
    assert isinstance(resolve_target(SHOP, REMEDIATIONS, key_of(labels, REMEDIATIONS)), ResolvedTarget)
