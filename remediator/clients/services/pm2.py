"""pm2: reads `pm2 jlist`, and restarts or scales through the same program."""

import os
import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, TypeAdapter, ValidationError

from remediator.clients.child_process import CommandOutput
from remediator.clients.services.manager import READ_SECONDS, ManagerRefused, Process, ServiceState, Status
from remediator.clients.services.programs import failure_text, run_program, run_test
from remediator.model.errors import TargetUnknown, TargetUnreachable
from runbookd.inventory import ServiceTarget
from runbookd.network_errors import network_error_text

SOCKET = "rpc.sock"
_STATES: Mapping[str, Status] = {
    "online": Status.RUNNING,
    "one-launch-status": Status.RUNNING,
    "launching": Status.CHANGING,
    "stopping": Status.CHANGING,
    "waiting restart": Status.CHANGING,
    "stopped": Status.STOPPED,
    "errored": Status.FAILED,
}


class _Environment(BaseModel):
    status: str
    pm_uptime: int = 0  # milliseconds since 1970 of the last start
    restart_time: int = 0


class _Listed(BaseModel):
    name: str
    pm_id: int
    pid: int | None = None
    pm2_env: _Environment


_LIST = TypeAdapter(list[_Listed])


class Pm2Manager:
    """One application of pm2, with all its instances."""

    def __init__(self, place: str, service: ServiceTarget) -> None:
        assert service.pm2 is not None  # MANAGERS is keyed by it  # noqa: S101
        self._place, self._pm2, self._seconds = place, service.pm2, service.timeout.total_seconds()

    async def read(self) -> ServiceState:
        """See ServiceManager."""
        self._require_daemon()
        result = await self._run(READ_SECONDS, "jlist")
        if result.status != 0:
            raise TargetUnreachable(f"{self._place}: pm2 {failure_text(result)}")
        listed = [each for each in self._parse(result.stdout) if each.name == self._pm2.name]
        if not listed:
            raise TargetUnknown(
                f"{self._place}: pm2 has no application {self._pm2.name!r}; start it, or correct pm2.name"
            )
        return ServiceState(tuple(_process(each) for each in sorted(listed, key=lambda each: each.pm_id)))

    async def test_configuration(self, arguments: Sequence[str], state: ServiceState) -> str | None:  # noqa: ARG002
        """See ServiceManager."""
        return await run_test(self._place, arguments, self._seconds)

    async def restart(self, processes: Sequence[Process]) -> None:
        """See ServiceManager. By id, so that no process with the same name is touched that the plan does not have."""
        result = await self._run(self._seconds, "restart", *(each.id for each in processes))
        if result.status != 0:  # some instances may have been restarted
            raise TargetUnreachable(f"{self._place}: pm2 restart {failure_text(result)}")

    async def scale(self, count: int, state: ServiceState) -> None:
        """See ServiceManager. pm2 also counts stopped instances, and would remove running ones before them."""
        if len(state.processes) != state.running:
            raise ManagerRefused(f"{len(state.processes) - state.running} instances are stopped; delete them with pm2")
        result = await self._run(self._seconds, "scale", self._pm2.name, str(count))
        if result.status != 0:
            raise TargetUnreachable(f"{self._place}: pm2 scale {failure_text(result)}")

    def _require_daemon(self) -> None:
        """Check that pm2's daemon answers: without one, each command of pm2 would start an empty one."""
        if self._pm2.user is not None:  # its socket is out of our reach
            return
        path = self._home / SOCKET
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(1.0)
                connection.connect(str(path))
        except OSError as error:
            raise TargetUnreachable(
                f"{self._place}: pm2's daemon does not answer at {path}: {network_error_text(error)};"
                " set pm2.home or pm2.user, or start pm2"
            ) from None

    @property
    def _home(self) -> Path:
        return self._pm2.home or Path(os.environ.get("PM2_HOME") or Path.home() / ".pm2")

    async def _run(self, seconds: float, *arguments: str) -> CommandOutput:
        user = self._pm2.user
        prefix = () if user is None else ("sudo", "-n", "-H", "-u", user)
        variables = {"PM2_HOME": str(self._home)} if user is None else {}
        home = {"HOME": str(Path.home())}
        return await run_program(self._place, (*prefix, "pm2", *arguments), seconds, {**home, **variables})

    def _parse(self, stdout: str) -> Sequence[_Listed]:
        """Parse the last line: pm2 may write notices before its list. No part of it gets into the error."""
        try:
            return _LIST.validate_json((stdout.splitlines() or [""])[-1])
        except ValidationError:
            raise TargetUnreachable(
                f"{self._place}: `pm2 jlist` did not print a list of processes; run it as the same user, and update pm2"
            ) from None


def _process(listed: _Listed) -> Process:
    env = listed.pm2_env
    status = _STATES.get(env.status, Status.CHANGING)
    start = datetime.fromtimestamp(env.pm_uptime / 1_000, UTC)
    return Process(
        str(listed.pm_id), status, listed.pid or 0, start.isoformat(timespec="milliseconds"), start, env.restart_time
    )
