"""The short form of `make soak`: every fault once, without a leak."""

from random import Random

import pytest

from soak.environment import running_environment
from soak.exporter import Soak, compare, new_session
from soak.faults import FAULTS


@pytest.mark.timeout(180)
async def test_every_fault_leaves_no_leak(servers_folder) -> None:
    async with running_environment(servers_folder / "soak") as environment, new_session() as session:
        soak = Soak(environment, session, Random(1), print)  # noqa: S311
        async with soak.scrape_continuously():
            # Warm up first: some resources are loaded or opened once and stay.
            for name in ("PostgreSQL down", "Redis down", "held storage", "crowd that hangs up"):
                await soak.fault(name, 0.5)
            before = await soak.usage()
            for name in FAULTS:
                await soak.fault(name, 0.7)
            after = await soak.usage()
            await soak.hold_lock(3)
        assert compare(before, after) == []
        assert soak.scrapes > len(FAULTS)
