"""Virtual time: an event loop that never sleeps, and from which nothing outside this process can be reached.

If no task is ready, the time jumps to the next timer. So a month takes as long as its work, and the order of events
depends on nothing but the program.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from math import inf, nextafter
from typing import Any, NoReturn, TypeVar

Result = TypeVar("Result")
DIGITS = 6  # of a second: the clock of the ledger


class OutsideReached(AssertionError):
    """Code within a simulation has tried to reach a server, a program or a thread outside."""


class SimulationStuck(AssertionError):
    """Every task waits, and no timer would wake any of them."""


class _JumpingSelector(selectors.DefaultSelector):
    """A selector that moves the time of its loop instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready; otherwise let `timeout` pass at once."""
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise SimulationStuck("every task of the simulation waits, and no timer is set")
        self.now = max(round(self.now + timeout, DIGITS), nextafter(self.now, inf))
        return []


def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise OutsideReached("a simulation reaches no server, program or file of its targets")


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time. It opens no connection and starts no program, and it has no threads."""

    def __init__(self) -> None:
        self._jumping_selector = _JumpingSelector()
        super().__init__(self._jumping_selector)
        self._clock_resolution = (
            10.0**-DIGITS
        )  # timers of one microsecond are due together, whatever their sums' rounding

    def time(self) -> float:
        """Return the virtual time in seconds since the start of the loop."""
        return self._jumping_selector.now

    def run_in_executor(  # type: ignore[override]
        self, _executor: Any, func: Callable[..., Result], *args: Any
    ) -> asyncio.Future[Result]:
        """Call `func` here and now: a thread would finish at a moment that no program decides."""
        future: asyncio.Future[Result] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    create_connection = create_unix_connection = create_datagram_endpoint = create_server = create_unix_server = _refuse
    sock_connect = getaddrinfo = getnameinfo = subprocess_exec = subprocess_shell = _refuse
    connect_read_pipe = connect_write_pipe = _refuse


class VirtualClock:
    """The clock of a simulation: its start, and the time of its loop since."""

    def __init__(self, start: datetime) -> None:
        self._start = start

    def now(self) -> datetime:
        """Return the virtual time in UTC."""
        return self._start + timedelta(seconds=asyncio.get_running_loop().time())

    async def sleep_until(self, moment: datetime) -> None:
        """Wait until `moment`; what happens before it happens now."""
        await asyncio.sleep(max((moment - self.now()).total_seconds(), 0.0))


def run_virtually(main: Coroutine[Any, Any, Result]) -> Result:
    """Run `main` in virtual time and return its result."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
