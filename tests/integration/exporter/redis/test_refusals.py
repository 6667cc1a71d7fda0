"""One refused command, odd field or foreign server at a time: the rest of the page stays the same."""

import socket
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from demo.servers.redis import RedisServer
from exporter.bullmq.client import _check_replica
from exporter.errors import TargetRefused
from exporter.redis.info import InfoSamples, parse_info

INVENTORY = (
    "stacks: {{shop: {{redis: {{cache: {{url: '{url}', prefixes: {{'bull:*': {{top: 1}}}}}}}}, "
    "queues: {{jobs: {{redis: cache, {queues}}}}}}}}}"
)


class ConfiguredRedis(RedisServer):
    """A Redis with further lines of configuration."""

    def __init__(self, folder: Path, lines: str, version: str = "7.0") -> None:
        super().__init__(folder, version=version)
        self._more = lines

    def _lines(self) -> list[str]:
        return [*super()._lines(), self._more]


@pytest.fixture
def start_redis(servers_folder) -> Iterator[Callable[[str], ConfiguredRedis]]:
    servers: list[ConfiguredRedis] = []

    def start(lines: str) -> ConfiguredRedis:
        servers.append(ConfiguredRedis(servers_folder / f"configured_redis_{len(servers)}", lines))
        servers[-1].start()
        with redis.Redis(port=servers[-1].port) as client:
            client.hset("bull:mail:meta", "version", "bullmq:5.0.0")
            client.lpush("bull:mail:wait", "1")
        return servers[-1]

    yield start
    for server in servers:
        server.remove()


async def measured(exporter):
    return await exporter.scrape_until(
        lambda page: page.value("bullmq_up") == 1 and page.series("redis_keys_count") and page.value("redis_up") == 1
    )


def families(page) -> set[str]:
    return {name for name in page.values if name.startswith(("redis_", "bullmq_"))}


def renamed(*commands: str) -> str:
    return "".join(f'rename-command {command} ""\n' for command in commands)


# The commands that a rule, proxy or cloud refuses, and the families that they cost.
REFUSED = {
    "CLIENT": {"bullmq_queue_workers"},
    "SLOWLOG": {"redis_slowlog_length"},
    "LATENCY": set(),
    "PING": set(),
    "DBSIZE": set(),
    "MGET": {"redis_key_value", "bullmq_jobs_added_total"},
    "EXISTS": set(),
    "HGET": {"bullmq_jobs_completed_total", "bullmq_jobs_failed_total"},
    "HMGET": {"bullmq_queue_paused", "bullmq_queue_oldest_waiting_age_seconds"},
    "ZCOUNT": {"bullmq_queue_recently_failed_jobs"},
    "INFO": {"redis_memory_used_bytes", "redis_db_keys"},
}


@pytest.fixture(scope="module")
def permissive(servers_folder) -> Iterator[RedisServer]:
    server = RedisServer(servers_folder / "permissive_redis")
    server.start()
    with redis.Redis(port=server.port) as client:
        client.hset("bull:mail:meta", "version", "bullmq:5.0.0")
        client.hset("bull:mail:metrics:completed", "count", 3)
        client.hset("bull:mail:metrics:failed", "count", 1)
        client.set("bull:mail:id", 7)
        client.lpush("bull:mail:wait", "1")
        client.hset("bull:mail:1", "timestamp", 1_700_000_000_000)
    yield server
    server.remove()


@pytest.mark.parametrize("command", REFUSED)
async def test_refused_command_costs_only_its_own_metrics(start_exporter, permissive, command: str) -> None:
    with redis.Redis(port=permissive.port) as client:
        client.execute_command("ACL", "SETUSER", "narrow", "reset", "on", ">secret", "~*", "+@all")
        url = permissive.url("narrow", "secret")
        whole = families(await measured(await start_exporter(INVENTORY.format(url=url, queues="names: [mail]"))))
        client.execute_command("ACL", "SETUSER", "narrow", f"-{command.lower()}")
    exporter = await start_exporter(INVENTORY.format(url=url, queues="names: [mail]"))
    page = await measured(exporter)
    lost = whole - families(page)
    assert lost >= REFUSED[command]
    if command != "INFO":
        assert len(lost) <= len(REFUSED[command]) + 3, lost
    debug = (await exporter.get("/metrics?debug=true"))[1]
    assert command in ("PING", "DBSIZE") or command.lower() in debug.lower()


async def test_refused_ping_of_a_server_without_queues_is_an_answer(start_exporter, permissive) -> None:
    with redis.Redis(port=permissive.port) as client:
        client.execute_command("ACL", "SETUSER", "silent", "reset", "on", ">secret", "~*", "+@all", "-ping")
    exporter = await start_exporter(INVENTORY.format(url=permissive.url("silent", "secret"), queues="prefix: unused"))
    page = await measured(exporter)
    assert page.value("bullmq_discovered_queues") == 0


async def test_renamed_client_command_costs_only_the_workers(start_exporter, start_redis) -> None:
    server = start_redis(renamed("CLIENT", "CONFIG", "LATENCY", "SLOWLOG"))
    exporter = await start_exporter(INVENTORY.format(url=server.url(), queues=""))
    page = await measured(exporter)
    assert page.value("redis_db_keys", db="db0") == 2
    assert page.value("bullmq_queue_jobs", queue="mail", state="waiting") == 1


async def test_server_without_a_password_is_read_with_one(start_exporter, start_redis) -> None:
    server = start_redis("")
    exporter = await start_exporter(INVENTORY.format(url=server.url("", "needless"), queues=""))
    await measured(exporter)
    debug = (await exporter.get("/metrics?debug=true"))[1]
    assert "the server has no password; remove it from the address" in debug
    assert "needless" not in debug


@pytest.fixture(params=["7.0", "valkey"])
def version(request) -> str:
    if request.param == "valkey":
        request.getfixturevalue("valkey")  # skips the test where there is none
    return request.param


async def test_cluster_is_named_for_queues_and_read_as_one_node(start_exporter, servers_folder, version) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        bus = free.getsockname()[1]
    lines = f"cluster-enabled yes\ncluster-port {bus}\n"
    server = ConfiguredRedis(servers_folder / f"clustered_{version}", lines, version)
    server.start()
    try:
        with redis.Redis(port=server.port) as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        exporter = await start_exporter(INVENTORY.format(url=server.url(), queues=""))
        page = await exporter.scrape_until(lambda page: page.series("redis_keys_sampled_ratio"))
        debug = (await exporter.get("/metrics?debug=true"))[1]
    finally:
        server.remove()
    assert (page.value("redis_up"), page.value("bullmq_up")) == (1, 0)
    assert page.value("redis_instance_info", redis_mode="cluster") == 1
    assert "shop/queues/jobs: the server is a node of a Redis Cluster" in debug
    assert "the server is one node of a Redis Cluster: all numbers are those of this node" in debug


async def test_queues_of_a_replica_without_its_primary_are_not_shown(start_exporter, start_redis) -> None:
    server = start_redis("")
    exporter = await start_exporter(INVENTORY.format(url=server.url(), queues="names: [mail]"))
    assert (await exporter.scrape()).value("bullmq_queue_jobs", queue="mail", state="waiting") == 1
    with redis.Redis(port=server.port) as client:
        client.replicaof("127.0.0.1", 1)
    page = await exporter.scrape()
    assert (page.value("redis_up"), page.value("bullmq_up")) == (1, 0)
    assert page.series("bullmq_queue_jobs") == {}
    assert "a replica that has lost its primary, so its queues are outdated" in (await exporter.get("/"))[1]


@pytest.mark.parametrize(("seconds", "is_lost"), [(59, False), (60, True), (-1, True)])
def test_replica_is_lost_after_a_minute(seconds: int, is_lost: bool) -> None:
    text = f"role:slave\r\nmaster_link_status:down\r\nmaster_link_down_since_seconds:{seconds}\r\n".encode()
    with pytest.raises(TargetRefused) if is_lost else nullcontext():
        _check_replica(text)


class SentinelServer(RedisServer):
    """A Redis Sentinel."""

    def prepare(self):
        launch = super().prepare()
        configuration = self.folder / "redis.conf"
        configuration.write_text(f"bind 127.0.0.1\nport {self.port}\ndir {self.folder}\ndaemonize no\n")
        return replace(launch, arguments=[*launch.arguments, "--sentinel"])

    def answers(self) -> bool:
        with suppress(redis.ConnectionError), redis.Redis(port=self.port) as client:
            return bool(client.ping())
        return False


async def test_sentinel_is_named_and_not_measured(start_exporter, servers_folder, version) -> None:
    server = SentinelServer(servers_folder / f"sentinel_{version}", version=version)
    server.start()
    try:
        exporter = await start_exporter(INVENTORY.format(url=server.url(), queues="names: [mail]"))
        page = await exporter.scrape()
        landing = (await exporter.get("/"))[1]
    finally:
        server.remove()
    assert (page.value("redis_up"), page.value("bullmq_up")) == (0, 0)
    assert families(page) == {"redis_up", "bullmq_up"}
    assert landing.count("this is a Redis Sentinel, not a server") >= 2


async def test_queue_without_rights_or_of_a_wrong_type_costs_only_itself(start_exporter, permissive) -> None:
    with redis.Redis(port=permissive.port) as client:
        client.hset("bull:secret:meta", "version", "bullmq:5.0.0")
        client.hset("bull:shared:meta", "version", "bullmq:5.0.0")
        client.set("bull:shared:wait", "a text, not a list")
        client.hset("bull:odd:meta", "concurrency", "many")
        client.execute_command(
            "ACL",
            "SETUSER",
            "mailer",
            "reset",
            "on",
            ">secret",
            "~bull:mail:*",
            "~bull:shared:*",
            "~bull:odd:*",
            "+@all",
        )
    try:
        url = permissive.url("mailer", "secret")
        exporter = await start_exporter(
            f"stacks: {{shop: {{redis: {{cache: {{url: '{url}'}}}}, queues: {{jobs: {{redis: cache}}}}}}}}"
        )
        page = await exporter.scrape_until(lambda page: page.value("bullmq_up") == 1)
        debug = (await exporter.get("/metrics?debug=true"))[1]
    finally:
        with redis.Redis(port=permissive.port) as client:
            client.delete("bull:secret:meta", "bull:shared:meta", "bull:shared:wait", "bull:odd:meta")
    assert {dict(labels)["queue"] for labels in page.series("bullmq_queue_paused")} == {"mail"}
    assert page.value("bullmq_unreadable_queues", reason="refused") == 1
    assert page.value("bullmq_unreadable_queues", reason="foreign") == 2
    assert page.value("bullmq_discovered_queues") == 4
    assert "queues that cannot be read: 'odd', 'secret', 'shared'" in debug


OLD_INFO = (
    b"# Server\r\nredis_version:6.0.16\r\nuptime_in_seconds:x\r\n# Commandstats\r\n"
    b"cmdstat_get:calls=1,usec=2,usec_per_call=2.00\r\n# Memory\r\nmem_fragmentation_ratio:-nan\r\n"
    b"used_memory:7\r\n# Errorstats\r\nerrorstat_ERR:count=2\r\n"
    b'errorstat_{"id":"7"}:count=3\r\nerrorstat_user 8 missing:count=4\r\nerrorstat_NOAUTH:count=\r\n'
    b"# Replication\r\nslave0:ip=h,port=1,state=wait_bgsave,offset=0,lag=0\r\n"
    b"master_link_status:down\r\nmaster_last_io_seconds_ago:-1\r\n"
)


def test_odd_or_missing_field_costs_one_sample_and_is_named() -> None:
    info = InfoSamples(parse_info(OLD_INFO), 0)
    values = {(sample.metric.name, *sample.labels): sample.value for sample in info.samples()}
    assert values["redis_commands_total", "get"] == 1
    assert values["redis_memory_used_bytes",] == 7
    names = {name for name, *_ in values}
    assert "redis_commands_rejected_calls_total" not in names
    assert not names & {"redis_mem_fragmentation_ratio", "redis_uptime_in_seconds"}
    assert not names & {"redis_db_keys", "redis_master_last_io_seconds_ago", "redis_connected_slave_lag_seconds"}
    assert info.note == (
        "INFO of version 6.0.16 lacks a number in: uptime_in_seconds, mem_fragmentation_ratio, "
        "cmdstat rejected_calls, cmdstat failed_calls, errorstat count"
    )


def test_error_texts_of_scripts_are_one_series() -> None:
    values = {
        sample.labels: sample.value
        for sample in InfoSamples(parse_info(OLD_INFO), 0).samples()
        if sample.metric.name == "redis_errors_total"
    }
    assert values == {("ERR",): 2, ("other",): 7}
