"""Keys that a run may remove or set never reach those of a queue, a session or a lock."""

from typing import Any

import pytest
from pydantic import ValidationError

from remediator.config_check import remediation_findings
from runbookd.inventory import Inventory, Mode

BLOCK = {"key": "blocked:ip:{address}", "proxies": []}


def inventory(redis: dict[str, Any], *, prefix: Any = "bull", remediations: Any = None) -> Inventory:
    stack = {
        "redis": {"main": {"url": "redis://x", **redis}},
        "queues": {"jobs": {"redis": "main", "prefix": prefix}},
        "remediations": remediations or {},
    }
    return Inventory.model_validate({"stacks": {"shop": stack, "other": {"redis": {"main": {"url": "redis://y"}}}}})


@pytest.mark.parametrize(
    "redis",
    [
        *(
            {"caches": {"one": {"prefix": text}}}
            for text in ("", "*", "a:", "bull:", "bull", "b\nll:", "sess:", "userSession:")
        ),
        *(
            {"caches": {"one": {"prefix": text}}}
            for text in ("lock:", "my-lock:", "redlock:", "mail:queue:", "celery-", "SESSION:")
        ),
        *(
            {"rate_limits": {"one": {"key": text}}}
            for text in ("{subject}", "rl:user:", "{subject}rl", "bull:{subject}")
        ),
        {"rate_limits": {"one": {"key": "rl:{subject}:{subject}"}}},
        {"blocks": {"one": {"key": "blocked:{address}"}}},
        *(
            {"blocks": {"one": {**BLOCK, **more}}}
            for more in ({"for": "61m"}, {"for": "0s"}, {"proxies": ["10.0.0.1/8"]})
        ),
        *({"blocks": {"one": {**BLOCK, **more}}} for more in ({"never": ["example.com"]}, {"max_blocks": 0})),
    ],
)
def test_dangerous_keys_are_refused(redis: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        inventory(redis)


@pytest.mark.parametrize("prefix", ["oauth", "oauth:tokens", ["bull", "oa"]])
def test_keys_that_overlap_with_those_of_queues_are_refused(prefix: Any) -> None:
    redis = (
        {"caches": {"oauth": {"prefix": "oauth:tokens:"}}}
        if prefix != ["bull", "oa"]
        else {"caches": {"one": {"prefix": "oa:cache:"}}}
    )
    with pytest.raises(ValidationError, match="reaches the keys of queues with the prefix"):
        inventory(redis, prefix=prefix)


def test_keys_that_overlap_with_queues_of_another_stack_are_refused() -> None:
    shop = {"redis": {"main": {"url": "redis://x", "caches": {"pages": {"prefix": "pages:"}}}}}
    other = {"redis": {"main": {"url": "redis://x"}}, "queues": {"jobs": {"redis": "main", "prefix": "pages"}}}
    with pytest.raises(ValidationError, match=r"stacks\.shop\.redis\.main\.caches\.pages: 'pages:' reaches"):
        Inventory.model_validate({"stacks": {"shop": shop, "other": other}})


@pytest.mark.parametrize("text", ["oauth:", "blocked:", "clock:", "pages:", "rl:user:"])
def test_cache_of_a_usual_name_is_accepted(text: str) -> None:
    assert inventory({"caches": {"one": {"prefix": text}}}).stacks["shop"].redis["main"].caches["one"].prefix == text


@pytest.mark.parametrize("name", ["unlink_prefix", "reset_rate_limit", "block_address", "resume_queue"])
def test_mode_auto_is_refused(name: str) -> None:
    findings = list(remediation_findings(inventory({}, remediations={name: {"mode": Mode.AUTO}})))
    assert [(each.path[-1], each.reason) for each in findings] == [
        ("mode", f"{name} never runs by itself; set mode: approve")
    ]


def test_pause_by_itself_needs_an_end() -> None:
    findings = list(remediation_findings(inventory({}, remediations={"pause_queue": {"mode": "auto"}})))
    assert [each.path[-1] for each in findings] == ["ends_after"]
    assert not list(
        remediation_findings(inventory({}, remediations={"pause_queue": {"mode": "auto", "ends_after": "1h"}}))
    )
