"""The error of a part that cannot be read is masked."""

import pytest
from aiohttp.test_utils import unused_port

from remediator.diagnostics.bundle import read_all
from remediator.model.remediation import Item, Scope, TargetName
from remediator.remediations import REMEDIATIONS
from runbookd.inventory import RemediationSettings, Stack


@pytest.fixture
def nobody() -> Scope:
    """Nobody listens at its address."""
    dsn = f"postgresql://127.0.0.1:{unused_port()}/shop?user=remediator"
    stack = Stack.model_validate({"postgres": {"main": {"dsn": dsn, "admin_dsn": dsn}}})
    return Scope(stack, TargetName("shop", "postgres", "main"), RemediationSettings(), "17")


async def test_error_is_masked_in_the_bundle(nobody: Scope) -> None:
    told = (await read_all([nobody]))["shop/postgres/main"]
    assert str(told).startswith("cannot read: shop/postgres/main: ")
    assert "127.0.0.1" not in str(told)
    assert "<ip>" in str(told)


async def test_error_is_masked_in_the_outcome_of_a_run(nobody: Scope) -> None:
    async with REMEDIATIONS["collect_diagnostics"].open(nobody) as session:
        [outcome] = await session.apply([Item({"part": "shop/postgres/main"})])
    assert "127.0.0.1" not in outcome.detail
    assert "<ip>" in outcome.detail
