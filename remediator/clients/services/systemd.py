"""systemd: reads `systemctl show`, and restarts one unit with `systemctl restart`."""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from remediator.clients.services.manager import READ_SECONDS, ManagerRefused, Process, ServiceState, Status
from remediator.clients.services.programs import failure_text, run_program, run_test
from remediator.model.errors import TargetUnknown, TargetUnreachable
from runbookd.inventory import ServiceTarget

PROPERTIES = (
    "LoadState",
    "ActiveState",
    "MainPID",
    "NRestarts",
    "InvocationID",
    "ActiveEnterTimestampMonotonic",
    "Job",
)
_STATES: Mapping[str, Status] = {
    "active": Status.RUNNING,
    "reloading": Status.RUNNING,
    "activating": Status.CHANGING,
    "deactivating": Status.CHANGING,
    "inactive": Status.STOPPED,
    "failed": Status.FAILED,
}
# In the C locale, of systemctl, of polkit and of sudo -n.
_NO_RIGHT = ("access denied", "authentication required", "authentication is required", "a password is required",
             "not allowed to execute", "may not run sudo", "permission denied")  # fmt: skip


class SystemdManager:
    """One unit of systemd."""

    def __init__(self, place: str, service: ServiceTarget) -> None:
        assert service.systemd is not None  # MANAGERS is keyed by it  # noqa: S101
        self._place, self._seconds = place, service.timeout.total_seconds()
        self._unit, self._sudo = service.systemd.unit, service.systemd.sudo

    async def read(self) -> ServiceState:
        """See ServiceManager."""
        command = ("systemctl", "show", f"--property={','.join(PROPERTIES)}", "--", self._unit)
        result = await run_program(self._place, command, READ_SECONDS)
        properties = dict(line.split("=", 1) for line in result.stdout.splitlines() if "=" in line)
        if result.status != 0 or "ActiveState" not in properties:
            raise TargetUnreachable(f"{self._place}: systemctl show {failure_text(result)}")
        if properties.get("LoadState") != "loaded":
            state = properties.get("LoadState", "unknown")
            raise TargetUnknown(
                f"{self._place}: systemd has no usable unit {self._unit} ({state}); correct systemd.unit"
            )
        return ServiceState((_process(self._unit, properties),))

    async def test_configuration(self, arguments: Sequence[str], state: ServiceState) -> str | None:  # noqa: ARG002
        """See ServiceManager."""
        return await run_test(self._place, arguments, self._seconds)

    async def restart(self, processes: Sequence[Process]) -> None:  # noqa: ARG002 - a unit is one process
        """See ServiceManager."""
        prefix = ("sudo", "-n") if self._sudo else ()
        command = (*prefix, "systemctl", "--no-ask-password", "restart", "--", self._unit)
        result = await run_program(self._place, command, self._seconds)
        if result.status == 0:
            return
        if any(words in result.error_line.lower() for words in _NO_RIGHT):
            raise ManagerRefused(
                f"this user may not restart {self._unit}; install deploy/systemd/50-runbookd.rules (polkit), or"
                " deploy/systemd/sudoers and systemd.sudo: true"
            )
        raise TargetUnreachable(f"{self._place}: systemctl restart {failure_text(result)}")

    async def scale(self, count: int, state: ServiceState) -> None:  # noqa: ARG002
        """See ServiceManager. The inventory refuses it before."""
        raise ManagerRefused("a unit of systemd has one instance")


def _process(unit: str, properties: Mapping[str, str]) -> Process:
    pending = properties.get("Job", "0") not in ("", "0")
    status = Status.CHANGING if pending else _STATES.get(properties["ActiveState"], Status.CHANGING)
    entered = _number(properties, "ActiveEnterTimestampMonotonic")
    start = properties.get("InvocationID", "") or str(entered)
    return Process(
        unit, status, _number(properties, "MainPID"), start, _moment(entered), _number(properties, "NRestarts")
    )


def _number(properties: Mapping[str, str], name: str) -> int:
    text = properties.get(name, "")
    return int(text) if text.isdecimal() else 0


def _moment(monotonic_microseconds: int) -> datetime | None:
    """Return the moment of a reading of the monotonic clock; its text form depends on systemd's version."""
    if not monotonic_microseconds:
        return None
    age = timedelta(seconds=time.clock_gettime(time.CLOCK_MONOTONIC), microseconds=-monotonic_microseconds)
    return (datetime.now(UTC) - age).replace(microsecond=0)
