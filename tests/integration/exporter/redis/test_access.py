"""With the users of deploy/redis, on each supported server: the exporter reads everything and changes nothing."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import trustme

from demo.servers.node import run_node
from demo.servers.redis import RedisServer

FOLDER = Path(__file__).parents[1] / "bullmq"
DEPLOY = Path(__file__).parents[4] / "deploy" / "redis"
# All commands that the exporter sends; 6.2 counts subcommands under their command.
COMMANDS = {
    *("auth", "ping", "select", "client|setname", "client|list", "client"),
    *("info", "slowlog|len", "slowlog", "latency|latest", "latency", "dbsize", "scan"),
    *("exists", "hget", "hmget", "llen", "lrange", "mget", "zcard", "zcount", "zrange", "zrangebyscore"),
}
PASSWORD = "secret"


SERVERS = {"redis_server": "metrics.acl", "redis62": "metrics-6.2.acl", "valkey": "metrics.acl"}


@pytest.fixture(params=SERVERS)
def server(request) -> Iterator[RedisServer]:
    server: RedisServer = request.getfixturevalue(request.param)
    server.flush()
    _, user, *rights = (DEPLOY / SERVERS[request.param]).read_text().split()
    with redis.Redis(port=server.port) as client:
        client.execute_command("ACL", "SETUSER", user, f">{PASSWORD}", *rights)
        client.execute_command("ACL", "LOG", "RESET")
        yield server
        client.execute_command("ACL", "DELUSER", user)
        client.config_set("latency-monitor-threshold", 0)


@pytest.fixture
def product(server) -> Iterator[redis.Redis]:
    with redis.Redis(port=server.port) as client:
        yield client


def inventory(url: str, queues: str = "") -> str:
    return (
        f"stacks: {{shop: {{redis: {{cache: {{url: '{url}', prefixes: {{'bull:*': {{top: 2}}}}}}}}, "
        f"queues: {{jobs: {{redis: cache, {queues}}}}}}}}}"
    )


async def wait_until_measured(exporter):
    return await exporter.scrape_until(
        lambda page: (
            page.value("bullmq_up") == 1 and page.series("redis_keys_count") and page.series("bullmq_queue_jobs")
        )
    )


def key_content(product, key: bytes) -> object:
    """Return the content of a key; not dumped for hashes and sets, whose order the server changes as they grow."""
    unordered = {b"hash": product.hgetall, b"set": product.smembers}
    return unordered.get(product.type(key), product.dump)(key)


async def test_documented_user_reads_everything_and_changes_nothing(start_exporter, server, product) -> None:
    run_node(FOLDER / "queues.js", [str(server.port)], bullmq=5)
    product.config_set("latency-monitor-threshold", 1)
    product.eval("for i = 1, 5000000 do end", 0)
    before = {key: key_content(product, key) for key in product.scan_iter() if product.ttl(key) == -1}
    changes = product.info("persistence")["rdb_changes_since_last_save"]
    product.config_resetstat()
    exporter = await start_exporter(inventory(server.url("metrics", PASSWORD), "dead_letter: '{name}-dlq'"))
    page = await wait_until_measured(exporter)
    for _ in range(3):
        await exporter.scrape()
    used = {name.removeprefix("cmdstat_") for name in product.info("commandstats")} - {"config|resetstat", "config"}
    assert used <= COMMANDS
    assert product.info("persistence")["rdb_changes_since_last_save"] == changes
    assert {key: key_content(product, key) for key in before} == before
    assert product.execute_command("ACL", "LOG") == []
    assert page.value("redis_up") == page.value("redis_keys_readable") == 1
    assert page.value("redis_slowlog_length") is not None
    assert page.value("redis_latency_spike_duration_seconds", event_name="command") >= 0.001
    assert page.value("redis_keys_count", key="bull:*", db="db0") == product.dbsize()
    assert page.value("redis_keyspace_hits_include_queues") == 1
    assert page.value("redis_max_clients") > 100
    assert page.value("redis_commands_total", cmd="info") >= 1
    assert page.value("bullmq_queue_workers", queue="emails") == 0
    assert page.value("bullmq_queue_jobs", queue="emails", state="failed") == 2
    assert page.series("bullmq_queue_info", queue="emails", library_version="5.81.5")


async def test_refused_commands_lose_only_their_own_metrics(start_exporter, server, product) -> None:
    run_node(FOLDER / "queues.js", [str(server.port)], bullmq=5)
    product.set("bull:emails:stalled-check", 1_700_000_000_000)
    product.execute_command("ACL", "SETUSER", "metrics", "-client", "+client|setname", "-slowlog", "-latency", "-mget")
    product.execute_command("ACL", "SETUSER", "metrics", "+mget", "resetkeys", "~bull:*")
    exporter = await start_exporter(inventory(server.url("metrics", PASSWORD), "names: [emails]"))
    page = await wait_until_measured(exporter)
    assert page.value("redis_up") == page.value("bullmq_up") == 1
    for name in ("redis_slowlog_length", "bullmq_queue_workers", "redis_latency_spike_duration_seconds"):
        assert page.series(name) == {}
    assert page.value("bullmq_queue_worker_last_check_timestamp_seconds", queue="emails") == 1_700_000_000
    product.delete("bull:emails:stalled-check")  # it expires when no worker is left
    page = await exporter.scrape()
    assert page.value("bullmq_queue_worker_last_check_timestamp_seconds", queue="emails") == 1_700_000_000


class TlsRedisServer(RedisServer):
    """A Redis with a socket in the file system and TLS on a second port."""

    def prepare(self):
        self.tls_port = self.port + 1 if self.port < 65_535 else self.port - 1
        certificate = self.authority.issue_cert("127.0.0.1")
        certificate.cert_chain_pems[0].write_to_path(self.folder / "server.crt")
        certificate.private_key_pem.write_to_path(self.folder / "server.key")
        self.authority.cert_pem.write_to_path(self.folder / "ca.pem")
        return super().prepare()

    def _lines(self) -> list[str]:
        more = {"unixsocket": "redis.sock", "tls-cert-file": "server.crt", "tls-key-file": "server.key"}
        paths = [f'{key} "{self.folder / name}"\n' for key, name in (more | {"tls-ca-cert-file": "ca.pem"}).items()]
        return [*super()._lines(), *paths, f"tls-port {self.tls_port}\n", "tls-auth-clients no\n"]


@pytest.fixture(scope="module")
def secured(servers_folder: Path, tmp_path_factory) -> Iterator[TlsRedisServer]:
    acl = tmp_path_factory.mktemp("secured") / "users.acl"
    user = (DEPLOY / "metrics.acl").read_text().strip()
    acl.write_text(f"user default on nopass ~* &* +@all\n{user} >{PASSWORD}\n")
    server = TlsRedisServer(servers_folder / "tls_redis", acl=acl)
    server.authority = trustme.CA()
    server.start()
    with redis.Redis(port=server.port) as client:
        client.hset("bull:mail:meta", "version", "bullmq:5.0.0")
        client.select(3)
        client.hset("bull:post:meta", "version", "bullmq:5.0.0")
    yield server
    server.remove()


@pytest.mark.parametrize(
    ("address", "queue"),
    [
        ("rediss://metrics:secret@127.0.0.1:{tls}/0?ssl_ca_certs={folder}/ca.pem", "mail"),
        ("rediss://metrics:secret@127.0.0.1:{tls}/3?ssl_ca_certs={folder}/ca.pem", "post"),
        ("unix://metrics:secret@{folder}/redis.sock?db=0", "mail"),
        ("unix://metrics:secret@{folder}/redis.sock?db=3", "post"),
    ],
)
async def test_server_is_read_over_tls_and_unix_sockets(start_exporter, secured, address: str, queue: str) -> None:
    url = address.format(tls=secured.tls_port, folder=secured.folder)
    page = await wait_until_measured(await start_exporter(inventory(url)))
    assert page.value("redis_up") == 1
    assert page.value("bullmq_queue_paused", queue=queue) == 0
    assert page.value("bullmq_discovered_queues") == 1
    expiry = page.value("redis_tls_certificate_expiry_timestamp_seconds")
    assert (expiry is not None and expiry > time.time()) is url.startswith("rediss")


async def test_certificate_of_another_authority_is_refused_and_reported(start_exporter, secured, tmp_path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    url = f"rediss://metrics:secret@127.0.0.1:{secured.tls_port}/0?ssl_ca_certs={tmp_path}/other.pem"
    exporter = await start_exporter(inventory(url, "names: [mail]"))
    page = await exporter.scrape()
    assert (page.value("redis_up"), page.value("bullmq_up")) == (0, 0)
    landing = (await exporter.get("/"))[1]
    assert "certificate verify failed" in landing
    assert PASSWORD not in landing


class RedisWithoutAuth(RedisServer):
    """A Redis without AUTH, whose error repeats the arguments of that command."""

    def _lines(self) -> list[str]:
        return [*super()._lines(), 'rename-command AUTH ""\n']


@pytest.mark.parametrize("user", ["", "metrics"])
async def test_password_repeated_by_the_server_is_not_reported(start_exporter, servers_folder, capsys, user) -> None:
    server = RedisWithoutAuth(servers_folder / "loginless_redis")
    server.start()
    try:
        exporter = await start_exporter(inventory(server.url(user, PASSWORD), "names: [emails]"))
        page = await exporter.scrape()
        pages = [(await exporter.get(path))[1] for path in ("/", "/metrics?debug=true")]
    finally:
        server.remove()
    assert page.value("redis_up") == page.value("bullmq_up") == 0
    assert all("unknown command" in each and "AUTH" in each for each in pages)
    assert PASSWORD not in "".join([page.text, *pages, *capsys.readouterr()])
