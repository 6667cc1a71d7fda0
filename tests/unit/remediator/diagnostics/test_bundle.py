"""The error of a part that cannot be read is masked."""

import pytest

from demo.servers.ports import free_port
from remediator.diagnostics.bundle import read_all
from remediator.model.remediation import Item, Scope, TargetName
from remediator.remediations import REMEDIATIONS
from runbookd.inventory import RemediationSettings, Stack


@pytest.fixture
def silent_scope() -> Scope:
    """Make a scope on an address where no server listens."""
    dsn = f"postgresql://127.0.0.1:{free_port()}/shop?user=remediator"
    stack = Stack.model_validate({"postgres": {"main": {"dsn": dsn, "admin_dsn": dsn}}})
    return Scope(stack, TargetName("shop", "postgres", "main"), RemediationSettings(), "17")


async def test_error_is_masked_in_the_bundle(silent_scope: Scope) -> None:
    diagnostics = (await read_all([silent_scope]))["shop/postgres/main"]
    assert str(diagnostics).startswith("cannot read: shop/postgres/main: ")
    assert "127.0.0.1" not in str(diagnostics)
    assert "<ip>" in str(diagnostics)


async def test_error_is_masked_in_the_outcome_of_a_run(silent_scope: Scope) -> None:
    async with REMEDIATIONS["collect_diagnostics"].open(silent_scope) as session:
        [outcome] = await session.apply([Item({"part": "shop/postgres/main"})])
    assert "127.0.0.1" not in outcome.detail
    assert "<ip>" in outcome.detail
