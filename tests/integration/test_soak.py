"""The short form of `make soak`: every fault once, and nothing is held after them that was not held before."""

from random import Random

import pytest

from soak.environment import running_environment
from soak.exporter import Soak, compare, new_session
from soak.faults import FAULTS


@pytest.mark.timeout(180)
async def test_every_fault_once_leaves_nothing_behind(servers_folder) -> None:
    async with running_environment(servers_folder / "soak") as environment, new_session() as session:
        soak = Soak(environment, session, Random(1), print)  # noqa: S311
        async with soak.scrape_continuously():
            # What is loaded and opened once in a life counts as there before.
            for name in ("PostgreSQL down", "Redis down", "held storage", "crowd that hangs up"):
                await soak.fault(name, 0.5)
            before = await soak.usage()
            for name in FAULTS:
                await soak.fault(name, 0.7)
            after = await soak.usage()
            await soak.hold_lock(3)
        assert compare(before, after) == []
        assert soak.scrapes > len(FAULTS)
