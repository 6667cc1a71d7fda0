"""Managers of services for the tests: a real pm2, a systemctl and a Docker Engine that answer as documented."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from remediator.model.remediation import Item, RemediationSession, Scope, TargetName
from remediator.remediations import REMEDIATIONS
from runbookd.inventory import RemediationSettings, Stack
from tools.toolchain.paths import TEST_NODE_FOLDER, node_program

SECRET = "hunter2-of-the-application"
APP = "setInterval(() => {}, 1000)\n"
ServiceScope = Callable[..., Scope]


@pytest.fixture
def scope_of_service() -> ServiceScope:
    """Make scopes on the service `api` of the stack `shop`."""

    def make(service: dict[str, Any], *, stack: Mapping[str, Any] | None = None, **rest: Any) -> Scope:
        settings = {"settle": "0s", "older_than": "1s", **rest.pop("settings", {})}
        model = Stack.model_validate({"services": {"api": service}, **(stack or {})})
        return Scope(
            model, TargetName("shop", "services", "api"), RemediationSettings.model_validate(settings), "17", **rest
        )

    return make


async def planned(scope: Scope, remediation: str = "restart_service") -> list[Item]:
    async with REMEDIATIONS[remediation].open(scope) as session:
        return list((await session.plan()).items)


async def within(
    scope: Scope, step: Callable[[RemediationSession], Awaitable[Any]], name: str = "restart_service"
) -> Any:
    """Return the result of one step of the remediation in a session of its own, as the engine does."""
    async with REMEDIATIONS[name].open(scope) as session:
        return await step(session)


@dataclass(frozen=True)
class Pm2:
    """A pm2 daemon in a folder of its own."""

    folder: Path

    def run(self, *arguments: str, **environment: str) -> str:
        command = ["pm2", *arguments]
        variables = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "PM2_HOME": str(self.folder), **environment}
        result = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120, check=False)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def start(self, name: str = "api", *options: str, source: str = APP) -> None:
        script = self.folder / f"{name}-{len(list(self.folder.glob('*.js')))}.js"
        script.write_text(source)
        self.run("start", str(script), "--name", name, *options, APP_TOKEN=SECRET)

    def listed(self) -> list[Any]:
        return list(json.loads(self.run("jlist").splitlines()[-1]))


@pytest.fixture
def pm2(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pm2]:
    if not (TEST_NODE_FOLDER / "node_modules" / ".bin" / "pm2").exists():
        pytest.skip("pm2 is not installed; run make setup")
    programs = f"{TEST_NODE_FOLDER}/node_modules/.bin:{node_program().parent}"
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("PM2_DISABLE_VERSION_CHECK", "true")
    folder = Path(tempfile.mkdtemp(prefix="pm2-", dir="/tmp"))  # the path of a socket has at most 107 bytes
    manager = Pm2(folder)
    try:
        yield manager
    finally:
        manager.run("kill")
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Systemctl:
    """The program `systemctl` on PATH: it shows the properties in a file, and its restart changes them."""

    folder: Path

    def write(self, **properties: str) -> None:
        shown = {**self.read(), **properties}
        (self.folder / "properties").write_text("".join(f"{key}={value}\n" for key, value in shown.items()))

    def read(self) -> dict[str, str]:
        file = self.folder / "properties"
        return dict(line.split("=", 1) for line in file.read_text().splitlines()) if file.exists() else {}

    def calls(self) -> list[str]:
        file = self.folder / "calls"
        return file.read_text().splitlines() if file.exists() else []


SYSTEMCTL = """#!/bin/sh
cd {folder}
echo "$@" >> calls
case "$*" in
  show*) cat properties; exit 0 ;;
  *restart*) [ -x ./on-restart ] && exec ./on-restart; exit 0 ;;
esac
exit 1
"""
ON_RESTART = """#!/bin/sh
sed -i -e 's/^InvocationID=.*/InvocationID=new/' -e 's/^MainPID=.*/MainPID=901/' properties
"""
UNIT = {
    "LoadState": "loaded",
    "ActiveState": "active",
    "MainPID": "900",
    "NRestarts": "3",
    "InvocationID": "old",
    "ActiveEnterTimestampMonotonic": "1000000",
    "Job": "0",
}


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Systemctl:
    folder = tmp_path / "systemctl"
    folder.mkdir()
    write_program(folder / "systemctl", SYSTEMCTL.format(folder=folder))
    write_program(folder / "on-restart", ON_RESTART)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    fake = Systemctl(folder)
    fake.write(**UNIT)
    return fake


def write_program(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o755)


@dataclass
class Container:
    """A container of the fake engine."""

    id: str
    status: str = "running"
    exit_code: int = 0
    started: str = "2026-03-01T11:00:00.123456789Z"
    restarts: int = 0
    labels: dict[str, str] = field(default_factory=dict)

    def inspected(self) -> dict[str, Any]:
        state = {
            "Status": self.status,
            "Running": self.status == "running",
            "OOMKilled": False,
            "Pid": 4242 if self.status == "running" else 0,
            "ExitCode": self.exit_code,
            "StartedAt": self.started,
            "FinishedAt": "0001-01-01T00:00:00Z",
        }
        config = {"Env": [f"APP_TOKEN={SECRET}"], "Labels": self.labels}
        return {"Id": self.id, "Name": f"/{self.id}", "RestartCount": self.restarts, "State": state, "Config": config}


@dataclass
class DockerEngine:
    """A Docker Engine on a unix socket, as its documentation of API 1.41 to 1.47 answers."""

    socket: Path
    api_version: str = "1.47"
    containers: list[Container] = field(default_factory=list)
    exec_code: int = 0
    calls: list[str] = field(default_factory=list)
    refuses: int = 0
    starts: int = 0

    def add(self, identifier: str, service: str = "frontend", **fields: Any) -> Container:
        labels = {"project": "clientforge", "service": service, "oneoff": "False"}
        container = Container(
            identifier, labels={f"com.docker.compose.{key}": value for key, value in labels.items()}, **fields
        )
        self.containers.append(container)
        return container

    def routes(self) -> list[web.RouteDef]:
        prefix = "/v{version}"
        return [
            web.get("/_ping", self._ping),
            web.get(f"{prefix}/containers/json", self._list),
            web.get(f"{prefix}/containers/{{id}}/json", self._inspect),
            web.post(f"{prefix}/containers/{{id}}/exec", self._create_exec),
            web.post(f"{prefix}/exec/{{id}}/start", self._start_exec),
            web.get(f"{prefix}/exec/{{id}}/json", self._inspect_exec),
            web.post(f"{prefix}/containers/{{id}}/{{verb}}", self._act),
        ]

    async def _ping(self, _: web.Request) -> web.Response:
        return web.Response(text="OK", headers={"Api-Version": self.api_version})

    async def _list(self, request: web.Request) -> web.Response:
        wanted = set(json.loads(request.query["filters"])["label"])
        assert request.query["all"] == "1"
        fit = [each for each in self.containers if wanted <= {f"{key}={value}" for key, value in each.labels.items()}]
        return web.json_response([{"Id": each.id, "Labels": each.labels} for each in fit])

    def _find(self, request: web.Request) -> Container:
        found = [each for each in self.containers if each.id == request.match_info["id"]]
        if not found:
            raise web.HTTPNotFound(text=json.dumps({"message": f"No such container: {request.match_info['id']}"}))
        return found[0]

    async def _inspect(self, request: web.Request) -> web.Response:
        assert request.match_info["version"] == min(self.api_version, "1.47")
        return web.json_response(self._find(request).inspected())

    async def _create_exec(self, request: web.Request) -> web.Response:
        self.calls.append(f"exec {' '.join((await request.json())['Cmd'])}")
        return web.json_response({"Id": "e1"}, status=201)

    async def _start_exec(self, _: web.Request) -> web.Response:
        line = b"nginx: [emerg] unknown directive in /etc/nginx/nginx.conf:3\n"
        return web.Response(body=b"\x02\0\0\0" + len(line).to_bytes(4, "big") + line)

    async def _inspect_exec(self, _: web.Request) -> web.Response:
        return web.json_response({"ExitCode": self.exec_code, "Running": False})

    async def _act(self, request: web.Request) -> web.Response:
        container, verb = self._find(request), request.match_info["verb"]
        self.calls.append(f"{verb} {container.id}")
        if self.refuses:
            return web.json_response({"message": "it refuses"}, status=self.refuses)
        container.status = "exited" if verb == "stop" else "running"
        if verb != "stop":
            self.starts += 1
            container.started = f"2026-03-01T12:00:{self.starts:02}.5Z"
        return web.Response(status=204)


@pytest.fixture
async def docker() -> AsyncIterator[DockerEngine]:
    folder = Path(tempfile.mkdtemp(prefix="docker-", dir="/tmp"))
    engine = DockerEngine(folder / "docker.sock")
    app = web.Application()
    app.add_routes(engine.routes())
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(engine.socket)).start()
    yield engine
    await runner.cleanup()
    shutil.rmtree(folder)
