"""The keys in which two inventories differ."""

from typing import Any

import pytest

from runbookd.inventory import Contact, Inventory, RemediationSettings, changed_keys, values_as_json

CONTACT = Contact.model_validate({"url": "json://x"})


def inventory(dsn: str = "postgresql://u:hunter2@db/x", **shop: Any) -> Inventory:
    return Inventory.model_validate({"stacks": {"shop": {"postgres": {"main": {"dsn": dsn}}, **shop}}})


@pytest.mark.parametrize(
    ("after", "keys"),
    [
        (inventory(), []),
        (inventory(runbook_url=""), []),
        (inventory("postgresql://u:hunter3@db/x"), ["stacks.shop.postgres.main.dsn"]),
        (inventory(remediations={"run_backup": {"mode": "auto"}}), ["stacks.shop.remediations.run_backup"]),
        (inventory(limits={"concurrency": 2}), ["stacks.shop.limits.concurrency"]),
        (Inventory(), ["stacks.shop"]),
        (inventory().model_copy(update={"contacts": {"oncall": CONTACT}}), ["contacts.oncall"]),
    ],
)
def test_changed_keys_are_named_without_values(after: Inventory, keys: list[str]) -> None:
    assert changed_keys(inventory(), after) == keys
    assert changed_keys(after, inventory()) == keys


def test_settings_of_a_run_are_read_back_as_they_were_written() -> None:
    settings = RemediationSettings.model_validate({"older_than": "1h30m", "cooldown": "7d", "block_on": ["A"]})
    assert RemediationSettings.model_validate(values_as_json(settings)) == settings
