"""The lane always returns an outcome, even if the collector fails, and never a secret."""

import asyncio
from collections.abc import Callable

import pytest

from exporter.collector import Client, Reading, ScrapeReading
from exporter.errors import DEADLINE_EXCEEDED, TargetRefused
from exporter.scheduling.outcome import READING_CANCELLED, Failure
from exporter.scheduling.scrape_lane import ScrapeLane


class ScriptedClient(Client):
    """A client with a scripted error and delays; `closed` counts its closes."""

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


async def wait_until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - the lane has no event to wait for
            await asyncio.sleep(0.005)


async def test_target_error_is_reported_and_drops_the_connection() -> None:
    client = ScriptedClient(TargetRefused("not allowed"))
    outcome = await lane(client).scrape(soon(60))
    assert outcome.failure == Failure("not allowed")
    assert client.closed == 1


@pytest.mark.parametrize("error", [ValueError("hunter2"), KeyError("hunter2"), RuntimeError("hunter2")])
async def test_unexpected_error_is_reported_without_its_message(error: Exception) -> None:
    outcome = await lane(ScriptedClient(error)).scrape(soon(60))
    assert outcome.failure is not None
    assert outcome.failure.reason.startswith(f"unexpected {type(error).__name__} at test_scrape_lane.py:")
    assert "hunter2" not in repr(outcome)


async def test_hung_reading_ends_at_the_deadline_and_a_hung_close_soon_after() -> None:
    client = ScriptedClient(seconds=60, close_seconds=60)
    tested = lane(client)
    began = asyncio.get_running_loop().time()
    outcome = await tested.scrape(soon(0.2))
    assert asyncio.get_running_loop().time() - began < 30
    assert outcome.failure == Failure(DEADLINE_EXCEEDED, timeout=True)
    await wait_until(lambda: client.closed)
    client.seconds = client.close_seconds = 0
    async with asyncio.timeout(60):  # one second for the close, and less than one for the backoff
        while (await tested.scrape(soon(60))).failure is not None:  # noqa: ASYNC110 - the lane has no event
            await asyncio.sleep(0.05)


async def test_failure_is_repeated_without_a_reading_during_the_backoff() -> None:
    client = ScriptedClient(seconds=60)
    tested = lane(client)
    await tested.scrape(soon(0.1))
    await wait_until(lambda: client.closed)
    again = await tested.scrape(soon(5))
    assert again.failure == Failure(DEADLINE_EXCEEDED, timeout=True)
    assert client.read_count == 1


async def test_concurrent_scrapes_share_one_reading() -> None:
    client = ScriptedClient(seconds=0.1)
    tested = lane(client)
    outcomes = await asyncio.gather(*(tested.scrape(soon(60)) for _ in range(50)))
    assert client.read_count == 1
    assert all(outcome is outcomes[0] for outcome in outcomes)
    await tested.scrape(soon(60))
    assert client.read_count == 2


async def test_cancelled_scrape_does_not_cancel_the_reading() -> None:
    client = ScriptedClient(seconds=0.2)
    tested = lane(client)
    first = asyncio.create_task(tested.scrape(soon(60)))
    await wait_until(lambda: client.read_count)
    second = asyncio.create_task(tested.scrape(soon(60)))
    first.cancel()
    assert (await second).failure is None
    assert client.closed == 0


async def test_waiting_scrape_gets_an_answer_when_the_lane_closes() -> None:
    client = ScriptedClient(seconds=60)
    tested = lane(client)
    waiting = asyncio.create_task(tested.scrape(soon(30)))
    await wait_until(lambda: client.read_count)
    await tested.close()
    assert (await asyncio.wait_for(waiting, 60)).failure == Failure(READING_CANCELLED)
    assert client.closed == 1
