"""Sections are plain data: another process can use them without what validated them."""

import pickle
from datetime import time, timedelta
from typing import Annotated, Any

import pytest

from runbookd.inventory import Inventory, Section, annotations_by_key, given_keys, values_as_json
from runbookd.inventory.constraints import Alias, Field
from runbookd.inventory.section import must_hold

SHOP = {
    "postgres": {"main": {"dsn": "postgresql://metrics:hunter2@db/shop"}},
    "redis": {"main": {"url": "redis://cache", "blocks": {"ip": {"key": "blk:{address}", "proxies": ["10.0.0.0/8"]}}}},
    "backups": {
        "nightly": {
            "url": "file:///srv/backups",
            "pattern": "db_%Y%m%d.dump",
            "drill": {"dsn_file": "/secret", "postgres": "main", "max_bytes": "1GiB"},
            "retention": {"for": "30d"},
        }
    },
    "commands": {"flag": {"argv": ["/bin/true"]}},
    "windows": {"night": {"days": ["mon"], "from": "22:00", "to": "02:00"}},
}


class Span(Section):
    begin: Annotated[int, Alias("from"), Field(ge=0)]
    end: int = 9

    @must_hold
    def _in_order(self) -> None:
        if self.end <= self.begin:
            raise ValueError("end must be after from")


class Named(Span):
    name: str

    @must_hold
    def _has_a_name(self) -> None:
        if not self.name:
            raise ValueError("needs a name")


@pytest.fixture
def inventory() -> Inventory:
    return Inventory.model_validate({"stacks": {"shop": SHOP}})


def test_inventory_is_handed_over_without_pydantic(inventory: Inventory) -> None:
    content = pickle.dumps(inventory)
    assert b"pydantic" not in content
    copy = pickle.loads(content)  # noqa: S301
    assert copy == inventory
    assert given_keys(copy.stacks["shop"]) == set(SHOP)
    shop = copy.stacks["shop"]
    assert shop.postgres["main"].dsn_secret().read() == "postgresql://metrics:hunter2@db/shop"
    assert (shop.windows["night"].start, shop.backups["nightly"].retention.span) == (time(22), timedelta(days=30))


def test_secrets_are_masked_wherever_a_section_is_written(inventory: Inventory) -> None:
    assert "hunter2" not in f"{inventory} {inventory!r} {values_as_json(inventory)}"


def test_section_cannot_be_changed(inventory: Inventory) -> None:
    with pytest.raises(AttributeError):
        inventory.stacks["shop"].zone = "UTC"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"from": -1, "name": "x"}, "greater than or equal to 0"),
        ({"from": 9, "name": "x"}, "end must be after from"),
        ({"from": 1, "name": ""}, "needs a name"),
        ({"begin": 1, "name": "x"}, "Unexpected keyword argument"),
        ({"from": 1, "name": "x", "other": 1}, "Unexpected keyword argument"),
        ({"name": "x"}, "Field required"),
    ],
)
def test_constraints_and_checks_of_a_section_and_its_base_hold(data: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Named.model_validate(data)


def test_keys_are_those_of_the_file() -> None:
    assert list(annotations_by_key(Named)) == ["from", "end", "name"]
    span = Named.model_validate({"from": 1, "name": "x"})
    assert span == Named(begin=1, name="x")
    assert given_keys(span) == {"from", "name"}
    assert span.model_copy({"end": 2}) == Named(begin=1, end=2, name="x")
