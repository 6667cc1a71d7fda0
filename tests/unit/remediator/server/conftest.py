"""A remediator that serves."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from remediator.app import build
from tests.unit.remediator.server.served import ApiTestClient, settings, stacks


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[ApiTestClient]:
    async with TestClient(TestServer(build(settings(tmp_path), stacks(tmp_path)))) as client:
        yield client
