"""Whatever a collector does, an outcome comes out, and no word of what it was about."""

import asyncio

import pytest

from exporter.collector import Client, Reading, ScrapeReading
from exporter.errors import DEADLINE_EXCEEDED, TargetRefused
from exporter.scheduling.outcome import READING_CANCELLED, Failure
from exporter.scheduling.scrape_lane import ScrapeLane


class ScriptedClient(Client):
    """A client that does what it is told; `closed` counts how often it was let go."""

    def __init__(self, error: BaseException | None = None, seconds: float = 0.0, close_seconds: float = 0.0) -> None:
        self.error, self.seconds, self.close_seconds = error, seconds, close_seconds
        self.read_count = self.closed = 0

    async def read(self, now: float) -> Reading:
        self.read_count += 1
        await asyncio.sleep(self.seconds)
        if self.error is not None:
            raise self.error
        return Reading((), 1)

    async def close(self) -> None:
        self.closed += 1
        await asyncio.sleep(self.close_seconds)


def lane(client: Client) -> ScrapeLane:
    async def connect(_: float) -> Client:
        return client

    return ScrapeLane(ScrapeReading(connect), "test")


def soon(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def test_our_own_errors_are_told() -> None:
    client = ScriptedClient(TargetRefused("not allowed"))
    outcome = await lane(client).scrape(soon(1))
    assert outcome.failure == Failure("not allowed")
    assert client.closed == 1


@pytest.mark.parametrize("error", [ValueError("hunter2"), KeyError("hunter2"), RuntimeError("hunter2")])
async def test_a_bug_costs_the_target_and_its_message_stays_inside(error: Exception) -> None:
    outcome = await lane(ScriptedClient(error)).scrape(soon(1))
    assert outcome.failure is not None
    assert outcome.failure.reason.startswith(f"unexpected {type(error).__name__} at test_scrape_lane.py:")
    assert "hunter2" not in repr(outcome)


async def test_a_hung_reading_ends_with_the_deadline_and_a_hung_close_soon_after() -> None:
    client = ScriptedClient(seconds=60, close_seconds=60)
    tested = lane(client)
    began = asyncio.get_running_loop().time()
    outcome = await tested.scrape(soon(0.2))
    assert asyncio.get_running_loop().time() - began < 0.5
    assert outcome.failure == Failure(DEADLINE_EXCEEDED, timeout=True)
    await asyncio.sleep(0.1)
    assert client.closed == 1
    client.seconds = client.close_seconds = 0
    await asyncio.sleep(1.8)  # a second for the close, and less than one of waiting after the failure
    assert (await tested.scrape(soon(1))).failure is None


async def test_while_it_waits_after_a_failure_the_failure_stands() -> None:
    client = ScriptedClient(seconds=60)
    tested = lane(client)
    await tested.scrape(soon(0.1))
    await asyncio.sleep(0.05)
    again = await tested.scrape(soon(5))
    assert again.failure == Failure(DEADLINE_EXCEEDED, timeout=True)
    assert client.read_count == 1


async def test_many_scrapes_are_one_reading() -> None:
    client = ScriptedClient(seconds=0.1)
    tested = lane(client)
    outcomes = await asyncio.gather(*(tested.scrape(soon(1)) for _ in range(50)))
    assert client.read_count == 1
    assert all(outcome is outcomes[0] for outcome in outcomes)
    await tested.scrape(soon(1))
    assert client.read_count == 2


async def test_a_cancelled_scrape_does_not_cancel_the_reading() -> None:
    client = ScriptedClient(seconds=0.2)
    tested = lane(client)
    first = asyncio.create_task(tested.scrape(soon(1)))
    await asyncio.sleep(0.05)
    second = asyncio.create_task(tested.scrape(soon(1)))
    first.cancel()
    assert (await second).failure is None
    assert client.closed == 0


async def test_who_waits_while_the_lane_is_closed_gets_an_answer() -> None:
    client = ScriptedClient(seconds=60)
    tested = lane(client)
    waiting = asyncio.create_task(tested.scrape(soon(30)))
    await asyncio.sleep(0.05)
    await tested.close()
    assert (await asyncio.wait_for(waiting, 1)).failure == Failure(READING_CANCELLED)
    assert client.closed == 1
