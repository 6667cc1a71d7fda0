"""A receiver of messages, and an engine that has sent one to its first contact."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.remediator.conftest import EngineHarness
from tests.unit.remediator.escalation.receiver import (
    NotificationReceiver,
    harness_with_receiver,
    send_notifications,
    serve_receiver,
)


@pytest.fixture
async def receiver() -> AsyncIterator[NotificationReceiver]:
    async with serve_receiver() as served:
        yield served


@pytest.fixture
async def notified(folder: Path, receiver: NotificationReceiver) -> AsyncIterator[EngineHarness]:
    """Yield an engine that has notified the first step of a refusal."""
    async with harness_with_receiver(folder, receiver) as harness:
        harness.files.fill("a", "b")
        await harness.deliver()
        await harness.work()
        await send_notifications(harness)
        assert receiver.contacts() == ["oncall"]
        yield harness
