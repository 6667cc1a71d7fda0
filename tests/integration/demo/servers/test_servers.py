"""Every server listens on loopback only, answers, restarts, and leaves no process."""

import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from demo.servers.alertmanager import AlertmanagerServer
from demo.servers.errors import ServerError
from demo.servers.leftovers import end_everything_in, end_leftovers
from demo.servers.node import NodeProcess
from demo.servers.ports import free_ports
from demo.servers.postgres import PostgresServer
from demo.servers.proc import session_members
from demo.servers.prometheus import PrometheusServer
from demo.servers.redis import RedisServer
from demo.servers.s3 import S3Server
from demo.servers.server import Server, start_together

ALERTMANAGER = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"


def _prometheus(folder: Path) -> Server:
    return PrometheusServer(folder, _file(folder, "global: {scrape_interval: 1s}\n"))


def _alertmanager(folder: Path) -> Server:
    return AlertmanagerServer(folder, _file(folder, ALERTMANAGER))


def _file(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "configuration.yml"
    file.write_text(text)
    return file


MAKERS: dict[str, Callable[[Path], Server]] = {
    "postgres": PostgresServer,
    "redis": RedisServer,
    "s3": S3Server,
    "prometheus": _prometheus,
    "alertmanager": _alertmanager,
}


def listeners(pid: int) -> set[tuple[str, int]]:
    """Return the listening sockets of a process: addresses as in /proc/net/tcp, and ports."""
    rows = [
        line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    sockets = {row[9]: row[1].split(":") for row in rows if row[3] == "0A"}
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since
            inodes.add(str(entry.readlink()).removeprefix("socket:[").removesuffix("]"))
    return {(address, int(port, 16)) for inode, (address, port) in sockets.items() if inode in inodes}


def processes_below(folder: Path) -> list[str]:
    """Return the processes whose working directory or program is in the folder."""
    processes = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            for link in ("cwd", "exe"):
                try:
                    if (entry / link).readlink().is_relative_to(folder):
                        processes.append(f"{entry.name} {link}")
                except OSError:
                    continue
    return processes


@pytest.fixture(params=MAKERS)
def server(request: pytest.FixtureRequest, tmp_path: Path):
    server = MAKERS[request.param](tmp_path / "a folder" / request.param)
    yield server
    server.remove()


def test_server_listens_on_loopback_only_and_leaves_no_process(server: Server, tmp_path: Path) -> None:
    server.start()
    identity = server.process.identity
    assert identity is not None
    assert session_members(identity)
    assert server.answers()
    assert listeners(identity.pid) == {("0100007F", server.port)}

    server.stop()
    assert not server.answers()
    assert session_members(identity) == []
    assert processes_below(tmp_path) == []

    server.remove()
    assert not server.folder.exists()


def test_restarted_server_answers_on_the_same_port(server: Server) -> None:
    server.start()
    first = server.process.identity
    server.stop()
    server.start()
    assert server.answers()
    assert server.process.identity != first


def test_another_handle_stops_the_server(server: Server) -> None:
    server.start()
    other = MAKERS[server.name](server.folder)
    other.stop()
    assert not server.process.running
    assert not server.answers()


def test_servers_of_a_killed_session_are_stopped(server: Server, tmp_path: Path) -> None:
    server.start()
    identity = server.process.identity
    assert identity is not None
    end_everything_in(tmp_path / "a folder")
    assert session_members(identity) == []
    assert not (tmp_path / "a folder").exists()


def test_only_servers_of_ended_starters_are_stopped(tmp_path: Path) -> None:
    living, dead = tmp_path / "1", tmp_path / str(2**22 + 1)  # the kernel assigns no number above 2**22
    servers = [RedisServer(living / "redis"), RedisServer(dead / "redis")]
    start_together(servers)
    try:
        end_leftovers(tmp_path)
        assert [server.process.running for server in servers] == [True, False]
    finally:
        for server in servers:
            server.remove()


def test_servers_are_stopped_if_another_fails_to_start(tmp_path: Path) -> None:
    redis = RedisServer(tmp_path / "redis")
    broken = PrometheusServer(tmp_path / "prometheus", _file(tmp_path / "prometheus", "scrape: nonsense\n"))
    with pytest.raises(ServerError, match=r"prometheus ended during its start: .*field scrape not found"):
        start_together([redis, broken])
    assert not redis.answers()
    assert processes_below(tmp_path) == []


def test_port_in_use_is_reported(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = RedisServer(tmp_path / "redis", taken.getsockname()[1])
        with pytest.raises(ServerError, match=r"port \d+ is in use \(127.0.0.1, for redis\): choose another port"):
            server.start()


def test_free_ports_differ_and_are_below_those_of_outgoing_connections() -> None:
    ports = free_ports(50)
    lowest_outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert len(set(ports)) == 50
    assert all(port < lowest_outgoing for port in ports)


def test_redis_requires_its_password(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "redis", password="hush")
    server.start()
    try:
        server.flush()
        assert (tmp_path / "redis" / "redis.conf").stat().st_mode & 0o777 == 0o600
        stranger = RedisServer(tmp_path / "redis", server.port)
        with pytest.raises(OSError, match="NOAUTH"):
            stranger.flush()
    finally:
        server.remove()


def test_alertmanager_reloads_and_refuses_an_invalid_configuration(start_alertmanager) -> None:
    server = start_alertmanager(ALERTMANAGER)
    server.reload()
    server.config.write_text("route: {}\n")
    with pytest.raises(OSError, match="500"):
        server.reload()


def test_prometheus_reloads_and_refuses_an_invalid_configuration(start_prometheus) -> None:
    server = start_prometheus("global: {scrape_interval: 1s}\n")
    server.reload()
    server.config.write_text("nonsense: true\n")
    with pytest.raises(OSError, match="500"):
        server.reload()


@pytest.mark.parametrize("major", [3, 4, 5, 6])
def test_node_runs_the_chosen_bullmq(node_run, redis_url: str, major: int) -> None:
    script = """
        const { Queue, Worker } = require(process.env.BULLMQ);
        const Redis = require('ioredis');
        const connection = () => new Redis(process.argv[2], { maxRetriesPerRequest: null });
        (async () => {
          const queue = new Queue('jobs', { connection: connection() });
          await queue.add('greet', { who: 'oncall' });
          const worker = new Worker('jobs', async job => job.data.who, { connection: connection() });
          worker.on('completed', (job, result) => {
            console.log(require(process.env.BULLMQ + '/package.json').version.split('.')[0], result);
            process.exit(0);
          });
        })();
    """
    assert node_run(script, [redis_url], bullmq=major) == f"{major} oncall\n"


def test_failed_node_script_is_reported_with_its_error(node_run) -> None:
    with pytest.raises(ServerError, match="upstream is out"):
        node_run("throw new Error('upstream is out')")


def test_node_process_is_ready_when_it_prints_ready_and_can_restart(tmp_path: Path) -> None:
    script = tmp_path / "worker.cjs"
    script.write_text("setTimeout(() => console.log('ready'), 300); setInterval(() => {}, 1000);")
    worker = NodeProcess(tmp_path, "worker", script)
    for _ in range(2):
        worker.start()
        assert worker.process.log.read_text().endswith("ready\n")
        worker.stop()
        assert not worker.process.running
    assert worker.process.log.read_text() == "ready\nready\n"
