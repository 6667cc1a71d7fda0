"""One seeded ledger per session, and one application per module on a copy of it."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from remediator.ledger import switches
from tests.unit.remediator.console.pages.world import Seed, Visit, seed, visit


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Seed:
    return asyncio.run(seed(tmp_path_factory.mktemp("seed")))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(seeded: Seed, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Visit]:
    async with visit(seeded, tmp_path_factory.mktemp("console")) as visitor:
        yield visitor


@pytest_asyncio.fixture(loop_scope="module")
async def console(site: Visit) -> AsyncIterator[Visit]:
    """Yield the console of the module to an operator; no stop outlives a test."""
    yield site
    async with site.context.ledger.write() as connection:
        await switches.resume(connection, site.clock.now(), "oncall", None)
    site.pause_file.unlink(missing_ok=True)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def reader(site: Visit) -> AsyncIterator[Visit]:
    """Yield the same console to an operator with the role viewer."""
    async with site.another("reader") as visitor:
        yield visitor
