"""docker: finds the containers of a service by compose's labels, and restarts, starts or stops them by id."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from remediator.clients.services.docker_engine import DockerEngine, EngineAnswer, open_engine
from remediator.clients.services.manager import READ_SECONDS, ManagerRefused, Process, ServiceState, Status
from remediator.masking import mask_text
from remediator.model.errors import TargetUnknown, TargetUnreachable
from runbookd.inventory import ServiceTarget

STOP_SECONDS = 10  # Docker's own time for a container to end by itself
# Exit codes of `docker stop` (0, SIGINT, SIGKILL, SIGTERM); a kill for want of memory is not one of them.
_ON_PURPOSE = frozenset({0, 130, 137, 143})
_NONE = "0001-01-01"
_NOT_FOUND, _CONFLICT, _FORBIDDEN = 404, 409, 403
T = TypeVar("T")
_FRAME_HEADER = 8  # bytes before each piece of a container's output: stream, and length


class _State(BaseModel):
    Status: str
    Pid: int = 0
    ExitCode: int = 0
    OOMKilled: bool = False
    StartedAt: datetime


class _Container(BaseModel):
    Id: str
    RestartCount: int = 0
    State: _State


class _Listed(BaseModel):
    Id: str


class _Exec(BaseModel):
    ExitCode: int | None = None


_LIST = TypeAdapter(list[_Listed])


class DockerManager:
    """The containers of one compose service, or one container."""

    def __init__(self, place: str, service: ServiceTarget) -> None:
        assert service.docker is not None  # MANAGERS is keyed by it  # noqa: S101
        self._place, self._docker, self._seconds = place, service.docker, service.timeout.total_seconds()

    async def read(self) -> ServiceState:
        """See ServiceManager."""
        async with open_engine(self._place, self._docker.socket, READ_SECONDS) as engine:
            containers = [await self._inspect(engine, each) for each in await self._ids(engine)]
        if not containers:
            raise self._unknown()
        return ServiceState(tuple(sorted(map(_process, containers), key=lambda each: each.id)))

    async def test_configuration(self, arguments: Sequence[str], state: ServiceState) -> str | None:
        """See ServiceManager. It runs in a running container; without one nothing can break, so nothing is tested."""
        running = [each for each in state.processes if each.status is Status.RUNNING]
        if not running:
            return None
        async with open_engine(self._place, self._docker.socket, self._seconds) as engine:
            return await self._test_in(engine, running[0].id, arguments)

    async def restart(self, processes: Sequence[Process]) -> None:
        """See ServiceManager. One after the other; `restart` also starts a container that has ended."""
        await self._post_each("restart", [each.id for each in processes])

    async def scale(self, count: int, state: ServiceState) -> None:
        """See ServiceManager. It starts or stops containers that exist: it creates and removes none."""
        running = [each.id for each in state.processes if each.status is Status.RUNNING]
        spare = [each.id for each in state.processes if each.status is Status.STOPPED]
        if count - len(running) > len(spare):
            raise ManagerRefused(
                f"only {len(spare)} stopped containers are there; create more with"
                f" `docker compose create --scale {self._docker.service}=N`"
            )
        if count > len(running):
            await self._post_each("start", spare[: count - len(running)])
        else:
            await self._post_each("stop", running[count:])

    async def _post_each(self, verb: str, ids: Sequence[str]) -> None:
        params = None if verb == "start" else {"t": str(STOP_SECONDS)}
        async with open_engine(self._place, self._docker.socket, self._seconds) as engine:
            for number, container in enumerate(ids):
                answer = await engine.request("POST", f"/containers/{container}/{verb}", params)
                self._require_done(answer, verb, is_first=number == 0)

    def _require_done(self, answer: EngineAnswer, verb: str, *, is_first: bool) -> None:
        if answer.status < 400:
            return
        detail = f"the engine refuses to {verb} the container ({answer.status}): {answer.message}"
        if is_first and answer.status in (_NOT_FOUND, _CONFLICT, _FORBIDDEN):
            raise ManagerRefused(detail)
        raise TargetUnreachable(f"{self._place}: {detail}")

    async def _ids(self, engine: DockerEngine) -> Sequence[str]:
        if self._docker.container is not None:
            return [self._docker.container]
        labels = {"project": self._docker.project, "service": self._docker.service, "oneoff": "False"}
        filters = {"label": [f"com.docker.compose.{key}={value}" for key, value in labels.items()]}
        answer = await engine.request("GET", "/containers/json", {"all": "1", "filters": json.dumps(filters)})
        return [each.Id for each in self._parse(_LIST, answer)]

    async def _inspect(self, engine: DockerEngine, container: str) -> _Container:
        answer = await engine.request("GET", f"/containers/{container}/json")
        if answer.status == _NOT_FOUND:
            raise self._unknown()
        return self._parse(TypeAdapter(_Container), answer)

    async def _test_in(self, engine: DockerEngine, container: str, arguments: Sequence[str]) -> str | None:
        body = {"Cmd": list(arguments), "AttachStdout": True, "AttachStderr": True}
        created = await engine.request("POST", f"/containers/{container}/exec", json=body)
        name = self._parse(TypeAdapter(_Listed), created).Id
        output = await engine.request("POST", f"/exec/{name}/start", json={"Detach": False, "Tty": False})
        ended = self._parse(TypeAdapter(_Exec), await engine.request("GET", f"/exec/{name}/json"))
        if ended.ExitCode == 0:
            return None
        return f"{arguments[0]} ended with {ended.ExitCode}: {_last_line(output.body)}"

    def _parse(self, kind: TypeAdapter[T], answer: EngineAnswer) -> T:
        """Parse an answer; no part of it gets into the error, because it holds the container's environment."""
        if answer.status >= 400:
            raise TargetUnreachable(f"{self._place}: the engine answers {answer.status}: {answer.message}")
        try:
            return kind.validate_json(answer.body)
        except ValidationError:
            raise TargetUnreachable(f"{self._place}: the answer is not the engine's; check docker.socket") from None

    def _unknown(self) -> TargetUnknown:
        docker = self._docker
        name = docker.container or f"of compose project {docker.project!r} and service {docker.service!r}"
        return TargetUnknown(f"{self._place}: the engine has no container {name}; create it, or correct the names")


def _process(container: _Container) -> Process:
    state = container.State
    start = state.StartedAt.astimezone(UTC)
    has_run = not start.isoformat().startswith(_NONE)
    return Process(
        container.Id, _status(state), state.Pid, start.isoformat(), start if has_run else None, container.RestartCount
    )


def _status(state: _State) -> Status:
    if state.Status == "running":
        return Status.RUNNING
    if state.Status in ("created", "paused"):
        return Status.STOPPED
    if state.Status == "exited":
        return Status.STOPPED if state.ExitCode in _ON_PURPOSE and not state.OOMKilled else Status.FAILED
    return Status.FAILED if state.Status == "dead" else Status.CHANGING


def _last_line(output: bytes) -> str:
    """Return the last line of a container's output, masked; each piece of it has a header."""
    text = b""
    while len(output) >= _FRAME_HEADER:
        length = int.from_bytes(output[4:_FRAME_HEADER], "big")
        text, output = text + output[_FRAME_HEADER : _FRAME_HEADER + length], output[_FRAME_HEADER + length :]
    lines = text.decode("utf-8", "replace").split("\n")
    return mask_text(next((line for line in reversed(lines) if line.strip()), ""))[:300]
