"""The short form of `make soak`: every fault once, without a leak."""

from random import Random

import pytest

from demo.installation import Installation
from soak.environment import running_environment
from soak.faults import FAULTS
from soak.run import Soak, new_session
from soak.usage import compare

FIRST = ("PostgreSQL down", "Redis down", "held storage", "crowd that hangs up", "crowd at the remediator")
"""Warm up first: some resources are loaded or opened once and stay."""


@pytest.mark.timeout(240)
async def test_every_fault_leaves_no_leak(servers_folder) -> None:
    async with running_environment(servers_folder / "soak", Installation()) as environment, new_session() as session:
        soak = Soak(environment, session, Random(1), print)  # noqa: S311
        async with soak.scrape_continuously():
            await soak.each_fault(FIRST, 0.5)
            before = await soak.usages()
            await soak.each_fault(list(FAULTS), 0.7)
            after = await soak.usages()
            await soak.hold_lock(3)
            assert compare(before, after) == []
            assert soak.scrapes > len(FAULTS)
            assert await soak.fixed() > 0
