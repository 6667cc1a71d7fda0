"""The short form of `make soak`: every fault once, without a leak."""

from random import Random

from demo.installation import Installation
from soak.environment import running_environment
from soak.faults import FAULTS
from soak.run import Soak, new_session
from soak.usage import GROWTH_BYTES

FIRST = ("PostgreSQL down", "Redis down", "held storage", "crowd that hangs up", "crowd at the remediator")
"""Warm up first: some resources are loaded or opened once and stay."""
GROWTH = {daemon: 4 * limit for daemon, limit in GROWTH_BYTES.items()}
"""A crowd that meets more at once raises the peak, here by up to 6 MiB; ten minutes judge it closely."""
ALLOWED_SECONDS = 4.0
"""Other tests take their part of the machine."""


async def test_every_fault_leaves_no_leak(servers_folder) -> None:
    async with running_environment(servers_folder / "soak", Installation()) as environment, new_session() as session:
        soak = Soak(environment, session, Random(1), print, ALLOWED_SECONDS)  # noqa: S311
        async with soak.scrape_continuously():
            await soak.each_fault(FIRST, 0.5)
            before = await soak.usages()
            await soak.each_fault(list(FAULTS), 0.7)
            assert await soak.changes(before, GROWTH) == []
            await soak.hold_lock(3)
            assert soak.scrapes > len(FAULTS)
            assert await soak.fixed() > 0
