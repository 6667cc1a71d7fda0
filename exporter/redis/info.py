"""What INFO says about a Redis server, under redis_exporter's names."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from exporter.metric import Metric, Sample, counter, gauge

RedisInfo = Mapping[str, str]

# Each metric that is one number of INFO, with the field it is in.
_FIELDS = {
    "uptime_in_seconds": gauge("redis_uptime_in_seconds", "Seconds since the server started."),
    "connected_clients": gauge("redis_connected_clients", "Client connections, without those of replicas."),
    "blocked_clients": gauge("redis_blocked_clients", "Clients that wait in a blocking command."),
    "maxclients": gauge("redis_max_clients", "Client connections that the server allows."),
    "used_memory": gauge("redis_memory_used_bytes", "Bytes that the server has allocated."),
    "used_memory_rss": gauge("redis_memory_used_rss_bytes", "Bytes that the server holds, as the system sees it."),
    "used_memory_peak": gauge("redis_memory_used_peak_bytes", "The most bytes that the server had allocated."),
    "used_memory_overhead": gauge(
        "redis_memory_used_overhead_bytes", "Bytes for buffers and tables rather than for data."
    ),
    "used_memory_dataset": gauge("redis_memory_used_dataset_bytes", "Bytes for data."),
    "used_memory_scripts": gauge("redis_memory_used_scripts_bytes", "Bytes for cached scripts."),
    "maxmemory": gauge("redis_memory_max_bytes", "Bytes that the server may allocate for data; 0 is no limit."),
    "mem_fragmentation_ratio": gauge(
        "redis_mem_fragmentation_ratio", "Bytes that the server holds for each that it has allocated."
    ),
    "mem_not_counted_for_evict": gauge(
        "redis_mem_not_counted_for_eviction_bytes", "Bytes of buffers that do not count against the limit."
    ),
    "keyspace_hits": counter("redis_keyspace_hits_total", "Look-ups that found their key."),
    "keyspace_misses": counter("redis_keyspace_misses_total", "Look-ups that did not find their key."),
    "evicted_keys": counter("redis_evicted_keys_total", "Keys removed because memory was full."),
    "expired_keys": counter("redis_expired_keys_total", "Keys removed because their time was over."),
    "rejected_connections": counter("redis_rejected_connections_total", "Connections refused because of maxclients."),
    "total_connections_received": counter("redis_connections_received_total", "Connections accepted."),
    "total_commands_processed": counter("redis_commands_processed_total", "Commands carried out."),
    "total_net_input_bytes": counter("redis_net_input_bytes_total", "Bytes received."),
    "total_net_output_bytes": counter("redis_net_output_bytes_total", "Bytes sent."),
    "used_cpu_sys": counter("redis_cpu_sys_seconds_total", "Processor time in the system, in seconds."),
    "used_cpu_user": counter("redis_cpu_user_seconds_total", "Processor time in the server itself, in seconds."),
    "loading": gauge("redis_loading_dump_file", "Whether the server is reading its data from disk (1)."),
    "rdb_changes_since_last_save": gauge("redis_rdb_changes_since_last_save", "Changes that no snapshot has yet."),
    "rdb_bgsave_in_progress": gauge("redis_rdb_bgsave_in_progress", "Whether a snapshot is being written (1)."),
    "rdb_last_save_time": gauge(
        "redis_rdb_last_save_timestamp_seconds", "When the last snapshot was saved, in seconds since 1970."
    ),
    "rdb_last_bgsave_time_sec": gauge(
        "redis_rdb_last_bgsave_duration_sec", "How long the last snapshot took, in seconds; -1 without one."
    ),
    "aof_enabled": gauge("redis_aof_enabled", "Whether the append-only file is on (1)."),
    "aof_rewrite_in_progress": gauge(
        "redis_aof_rewrite_in_progress", "Whether the append-only file is being rewritten (1)."
    ),
    "aof_current_size": gauge("redis_aof_current_size_bytes", "Bytes of the append-only file; absent without one."),
    "aof_delayed_fsync": gauge(
        "redis_aof_delayed_fsync", "Writes of the append-only file that had to wait for disk; absent without one."
    ),
    "latest_fork_usec": gauge("redis_latest_fork_usec", "How long the last fork took, in microseconds."),
    "connected_slaves": gauge("redis_connected_slaves", "Replicas that are connected."),
    "master_repl_offset": gauge("redis_master_repl_offset", "Bytes of changes that were given to replicas."),
}
# Each metric that is a word of INFO, true where it is this one.
_WORDS = {
    ("rdb_last_bgsave_status", "ok"): gauge(
        "redis_rdb_last_bgsave_status", "Whether the last background snapshot succeeded (1)."
    ),
    ("aof_last_write_status", "ok"): gauge(
        "redis_aof_last_write_status", "Whether the last write of the append-only file succeeded (1)."
    ),
    ("aof_last_bgrewrite_status", "ok"): gauge(
        "redis_aof_last_bgrewrite_status", "Whether the append-only file was last rewritten with success (1)."
    ),
    ("maxmemory_policy", "noeviction"): gauge(
        "redis_maxmemory_policy_noeviction",
        "Whether keys are never evicted (1); job queues need that, or jobs are lost when memory is full.",
    ),
}
FIELDS: dict[str, Metric] = {field: replace(metric, source=f"INFO: {field}") for field, metric in _FIELDS.items()}
WORDS: dict[tuple[str, str], Metric] = {
    (field, word): replace(metric, source=f"INFO: {field}") for (field, word), metric in _WORDS.items()
}
INSTANCE = gauge(
    "redis_instance_info",
    "Always 1; the labels describe the server. Valkey tells a Redis version that it is compatible with.",
    "role",
    "redis_version",
    "redis_mode",
    "os",
    "maxmemory_policy",
    source="INFO",
)
DB_KEYS = gauge("redis_db_keys", "Keys in the database.", "db", source="INFO keyspace")
DB_EXPIRING = gauge(
    "redis_db_keys_expiring", "Keys in the database that have a time to live.", "db", source="INFO keyspace"
)
DB_TTL = gauge(
    "redis_db_avg_ttl_seconds",
    "Average time to live of such keys as the server estimates it, in seconds; 0 where it has not.",
    "db",
    source="INFO keyspace",
)
COMMANDS = counter(
    "redis_commands_total", "Calls of the command, those in scripts included.", "cmd", source="INFO commandstats"
)
COMMAND_SECONDS = counter(
    "redis_commands_duration_seconds_total",
    "Time spent in the command, in seconds.",
    "cmd",
    source="INFO commandstats",
)
COMMAND_REJECTED = counter(
    "redis_commands_rejected_calls_total",
    "Calls of the command that were refused before it began.",
    "cmd",
    source="INFO commandstats",
)
COMMAND_FAILED = counter(
    "redis_commands_failed_calls_total",
    "Calls of the command that ended with an error.",
    "cmd",
    source="INFO commandstats",
)
ERRORS = counter(
    "redis_errors_total", "Errors that the server answered with, by their code.", "err", source="INFO errorstats"
)
REPLICA_LAG = gauge(
    "redis_connected_slave_lag_seconds",
    "Since when a replica has not confirmed anything, in seconds.",
    "slave_ip",
    "slave_port",
    "slave_state",
    source="INFO replication",
)
REPLICA_OFFSET = gauge(
    "redis_connected_slave_offset_bytes",
    "Bytes of changes that a replica has.",
    "slave_ip",
    "slave_port",
    "slave_state",
    source="INFO replication",
)
LINK_UP = gauge(
    "redis_master_link_up",
    "Whether this replica is connected to its primary (1).",
    "master_host",
    "master_port",
    source="INFO replication",
)
METRICS = (
    *FIELDS.values(),
    *WORDS.values(),
    INSTANCE,
    DB_KEYS,
    DB_EXPIRING,
    DB_TTL,
    COMMANDS,
    COMMAND_SECONDS,
    COMMAND_REJECTED,
    COMMAND_FAILED,
    ERRORS,
    REPLICA_LAG,
    REPLICA_OFFSET,
    LINK_UP,
)
_REPLICA = re.compile(r"slave\d+")
_DATABASE = re.compile(r"db\d+")


def parse_info(text: bytes) -> RedisInfo:
    """Return the fields of an answer to INFO."""
    lines = text.decode(errors="replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line and not line.startswith("#"))


def samples_of(info: RedisInfo, database: int) -> Iterator[Sample]:
    """Yield the samples that an INFO gives; a field that this server does not have gives none."""
    yield from (metric(float(info[field])) for field, metric in FIELDS.items() if field in info)
    yield from (metric(info[field] == word) for (field, word), metric in WORDS.items() if field in info)
    yield INSTANCE(1, *(info.get(label, "") for label in INSTANCE.labels))
    yield from _databases(info, database)
    for field, value in info.items():
        if field.startswith("cmdstat_"):
            yield from _command(field.removeprefix("cmdstat_"), _values(value))
        elif field.startswith("errorstat_"):
            yield ERRORS(float(_values(value)["count"]), field.removeprefix("errorstat_"))
    yield from _replication(info)


def _databases(info: RedisInfo, database: int) -> Iterator[Sample]:
    """INFO lists only databases with keys in them; the one that we are told about is there even when it is empty."""
    databases = {f"db{database}": "keys=0,expires=0"}
    databases |= {name: value for name, value in info.items() if _DATABASE.fullmatch(name)}
    for name, value in databases.items():
        numbers = _values(value)
        yield DB_KEYS(float(numbers["keys"]), name)
        yield DB_EXPIRING(float(numbers["expires"]), name)
        if "avg_ttl" in numbers:
            yield DB_TTL(float(numbers["avg_ttl"]) / 1000, name)


def _command(name: str, numbers: Mapping[str, str]) -> Iterator[Sample]:
    yield COMMANDS(float(numbers["calls"]), name)
    yield COMMAND_SECONDS(float(numbers["usec"]) / 1_000_000, name)
    yield COMMAND_REJECTED(float(numbers["rejected_calls"]), name)
    yield COMMAND_FAILED(float(numbers["failed_calls"]), name)


def _replication(info: RedisInfo) -> Iterator[Sample]:
    for field, value in info.items():
        if _REPLICA.fullmatch(field):
            numbers = _values(value)
            replica = (numbers["ip"], numbers["port"], numbers["state"])
            yield REPLICA_OFFSET(float(numbers["offset"]), *replica)
            if "lag" in numbers:
                yield REPLICA_LAG(float(numbers["lag"]), *replica)
    if "master_link_status" in info:
        yield LINK_UP(info["master_link_status"] == "up", info["master_host"], info["master_port"])


def _values(text: str) -> dict[str, str]:
    """The parts of a value such as `calls=1,usec=2`."""
    return dict(part.split("=", 1) for part in text.split(",") if "=" in part)
