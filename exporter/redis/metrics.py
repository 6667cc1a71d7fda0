"""The metrics of a Redis server: INFO under redis_exporter's names, slow commands, latency, keys by prefix."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from redis.exceptions import ResponseError

from exporter.metric import Metric, Sample, counter, gauge
from exporter.redis.scan import MOST_STEPS, STEP_KEYS

UP = gauge("redis_up", "Whether the Redis server answers (1).", source="INFO")
SLOWLOG = gauge(
    "redis_slowlog_length", "Entries in the log of slow commands; absent where it is refused.", source="SLOWLOG LEN"
)
SPIKE = gauge(
    "redis_latency_spike_duration_seconds",
    "How long the last latency spike of this kind was, in seconds; the server looks for them only if told so.",
    "event_name",
    source="LATENCY LATEST",
)
SPIKE_AT = gauge(
    "redis_latency_spike_last",
    "When the last latency spike of this kind was, in seconds since 1970.",
    "event_name",
    source="LATENCY LATEST",
)
HITS_MIXED = gauge(
    "redis_keyspace_hits_include_queues",
    "Whether job queues live on this server (1): the inventory has some there, or clients have waited for jobs. Then "
    "hits and misses are mostly those of the queues, and nothing that the server counts tells them apart.",
    source="inventory, INFO commandstats",
)
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
INFO_METRICS = (
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
KEYS = gauge(
    "redis_keys_count",
    "Keys with the prefix, counted or, in a large database, estimated from a sample. Cached.",
    "db",
    "key",
    source="SCAN, DBSIZE",
)
SAMPLED = gauge(
    "redis_keys_sampled_ratio",
    f"Part of the database's keys that the counts by prefix come from; 1 where there are less than "
    f"{MOST_STEPS * STEP_KEYS:,}. Cached.",
    "db",
    source="SCAN, DBSIZE",
)
VALUE = gauge(
    "redis_key_value",
    "The highest counters with a prefix that has `top`, of those in the sample. Cached.",
    "db",
    "key",
    source="MGET",
)
READABLE = gauge(
    "redis_keys_readable",
    "Whether the user may read the keys with the prefix (1), for those that have `top`. Cached.",
    "db",
    "key",
    source="MGET",
)
PREFIX_METRICS = (KEYS, SAMPLED, VALUE, READABLE)
METRICS = (UP, *INFO_METRICS, HITS_MIXED, SLOWLOG, SPIKE, SPIKE_AT, *PREFIX_METRICS)


def latency_samples(slow: Any, spikes: Any) -> Iterator[Sample]:
    """Yield the samples of the replies to SLOWLOG LEN and LATENCY LATEST; a refused one gives none."""
    if not isinstance(slow, ResponseError):
        yield SLOWLOG(slow)
    if not isinstance(spikes, ResponseError):
        for event, at, milliseconds, _ in (spike[:4] for spike in spikes):
            yield SPIKE(milliseconds / 1000, event.decode())
            yield SPIKE_AT(at, event.decode())
