"""The protocol of a service manager, and the state of a service as it reports it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from remediator.model.errors import RemediatorError

READ_SECONDS = 8.0  # a manager that takes longer hangs: planning has 10 s


class Status(StrEnum):
    """The state of a process."""

    RUNNING = "running"
    CHANGING = "changing"  # its manager starts, stops or restarts it now
    STOPPED = "stopped"  # ended as if on purpose
    FAILED = "failed"


class ManagerRefused(RemediatorError):
    """The manager has refused the command, so nothing has changed."""


@dataclass(frozen=True)
class Process:
    """One instance of a service. `id` is the manager's; `start` identifies its last start, which `started_at` dates."""

    id: str
    status: Status
    pid: int
    start: str
    started_at: datetime | None
    restarts: int


@dataclass(frozen=True)
class ServiceState:
    """All instances of a service, in the order of their ids."""

    processes: tuple[Process, ...]

    @property
    def status(self) -> Status:
        """The state of the service: an instance that changes or has failed counts more than one that runs."""
        states = {each.status for each in self.processes}
        order = (Status.CHANGING, Status.FAILED, Status.RUNNING)
        return next((status for status in order if status in states), Status.STOPPED)

    @property
    def live(self) -> tuple[Process, ...]:
        """The instances that were not stopped on purpose: a stopped one is spare."""
        return tuple(each for each in self.processes if each.status is not Status.STOPPED)

    @property
    def running(self) -> int:
        """The number of running instances."""
        return sum(each.status is Status.RUNNING for each in self.processes)

    @property
    def restarts(self) -> int:
        """The restarts that the manager counts, of all instances."""
        return sum(each.restarts for each in self.processes)

    @property
    def started_at(self) -> datetime | None:
        """The newest start of a running instance."""
        starts = [each.started_at for each in self.processes if each.status is Status.RUNNING and each.started_at]
        return max(starts, default=None)

    def starts(self) -> dict[str, str]:
        """Return the last start of each instance by its id."""
        return {each.id: each.start for each in self.processes}


class ServiceManager(Protocol):
    """A manager of one service. Every method may raise TargetUnreachable, after which the outcome is open."""

    async def read(self) -> ServiceState:
        """Read the state of the service. Changes nothing.

        Raises:
            TargetUnknown: the manager has no service of this name.
        """

    async def test_configuration(self, arguments: Sequence[str], state: ServiceState) -> str | None:
        """Run the test of the configuration; return why it failed, or None."""

    async def restart(self, processes: Sequence[Process]) -> None:
        """Restart these instances, also those that do not run.

        Raises:
            ManagerRefused: nothing has changed.
        """

    async def scale(self, count: int, state: ServiceState) -> None:
        """Bring the number of running instances from that of `state` to `count`.

        Raises:
            ManagerRefused: nothing has changed.
        """
