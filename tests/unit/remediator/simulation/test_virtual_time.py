"""Virtual time passes at once, in order, and nothing outside can be reached from it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from remediator.simulation.virtual_time import OutsideReached, SimulationStuck, VirtualClock, run_virtually


def test_a_year_of_sleep_takes_no_time() -> None:
    before = time.monotonic()
    run_virtually(asyncio.sleep(365 * 86_400))
    assert time.monotonic() - before < 60


def test_sleepers_wake_in_the_order_of_their_times() -> None:
    woken: list[float] = []

    async def sleeper(seconds: float) -> None:
        await asyncio.sleep(seconds)
        woken.append(asyncio.get_running_loop().time())

    async def main() -> None:
        await asyncio.gather(*(sleeper(seconds) for seconds in (7.25, 0.1, 3_600)))

    run_virtually(main())
    assert woken == [0.1, 7.25, 3_600]


def test_the_clock_does_not_drift_over_many_steps() -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)

    async def main() -> datetime:
        clock = VirtualClock(start)
        for _ in range(10_000):
            await asyncio.sleep(0.1)
        return clock.now()

    assert run_virtually(main()) == start + timedelta(seconds=1_000)


def test_waiting_for_what_never_comes_is_an_error() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(SimulationStuck):
        run_virtually(main())


async def _resolve_name() -> object:
    return await asyncio.get_running_loop().getaddrinfo("localhost", 80)


@pytest.mark.parametrize(
    "reach",
    [
        lambda: asyncio.open_connection("127.0.0.1", 5432),
        lambda: asyncio.open_unix_connection("/tmp/none"),
        lambda: asyncio.create_subprocess_exec("true"),
        lambda: asyncio.start_server(lambda *_: None, "127.0.0.1", 0),
        _resolve_name,
    ],
)
def test_nothing_outside_can_be_reached(reach: Callable[[], Awaitable[Any]]) -> None:
    async def main() -> None:
        await reach()

    with pytest.raises(OutsideReached):
        run_virtually(main())
