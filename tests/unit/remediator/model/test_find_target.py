"""A target is found exactly if it is resolved, and one that does not exist costs no search for a similar name."""

import pytest

from remediator.model import target
from remediator.model.episode_key import EpisodeKey
from remediator.model.target import ResolvedTarget, find_target, resolve_target
from remediator.remediations import REMEDIATIONS
from runbookd.inventory import Inventory

STACK = {
    "postgres": {"main": {"dsn": "postgresql://db/shop"}},
    "redis": {"main": {"url": "redis://cache:6379"}},
    "queues": {"jobs": {"redis": "main", "names": ["mail"]}},
}
INVENTORY = Inventory.model_validate({"stacks": {"shop": STACK}})


@pytest.mark.parametrize(
    ("remediation", "name"),
    [
        ("terminate_idle_transactions", "shop/postgres/main"),
        ("terminate_idle_transactions", "shop/postgres/mian"),
        ("terminate_idle_transactions", "shp/postgres/main"),
        ("retry_failed_jobs", "shop/queues/jobs/mail"),
        ("retry_failed_jobs", "shop/queues/jobs/other"),
        ("retry_failed_jobs", "shop/queues/jobs"),
        ("retry_failed_jobs", "shop/queues/none/mail"),
        ("collect_diagnostics", "shop/alerts/DatabaseDown"),
        ("collect_diagnostics", "shop/stack/shop"),
        ("no_such_remediation", "shop/postgres/main"),
    ],
)
def test_target_is_found_if_it_is_resolved(remediation: str, name: str) -> None:
    key = EpisodeKey(name.partition("/")[0], remediation, name)
    resolved = resolve_target(INVENTORY, REMEDIATIONS, key)
    assert find_target(INVENTORY, REMEDIATIONS, key) == (resolved if isinstance(resolved, ResolvedTarget) else None)


def test_unknown_name_costs_no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "suggest", None)
    for name in ("shop/postgres/mian", "shp/postgres/main"):
        key = EpisodeKey(name.partition("/")[0], "terminate_idle_transactions", name)
        assert find_target(INVENTORY, REMEDIATIONS, key) is None
