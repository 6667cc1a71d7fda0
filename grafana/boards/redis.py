"""The board of Redis: memory against its maximum, evictions, the cache's hit rate, slow commands, keys by prefix."""

from grafana.dashboard import board, targets_of
from grafana.panels import bars, graph, limits, newest, override_query, query, row, stat, states, wide
from grafana.words import GREY_STEPS, TARGET, UP

EACH = "{{stack}} {{target}}"
SAFE = states({0: ("evicts keys", "red"), 1: ("keeps keys", "green")})
SAVED = states({0: ("snapshot failed", "red"), 1: ("snapshot saved", "green")})


def _newest(metric: str, *more: str) -> str:
    return f"max by ({', '.join(('stack', 'target', *more))}) ({metric}{TARGET})"


def _rate(counter: str, *more: str) -> str:
    return f"max by ({', '.join(('stack', 'target', *more))}) (rate({counter}{TARGET}[$__rate_interval]))"


MEMORY = row(
    "Servers and memory",
    8,
    stat(
        "Server",
        "Whether each server answers, saved its last snapshot, and keeps all keys when memory is full. If a server with"
        " queues evicts keys, set `maxmemory-policy noeviction`: it loses jobs otherwise.",
        [
            newest(f"min by (stack, target) (redis_up{TARGET})", EACH, "UP"),
            newest(f"stack_target:redis_rdb_last_bgsave_status:max{TARGET}", EACH, "SAVED"),
            newest(f"stack_target:redis_maxmemory_policy_noeviction:max{TARGET}", EACH, "POLICY"),
        ],
        unit="none",
        steps=GREY_STEPS,
        overrides=[
            override_query("UP", mappings=[UP]),
            override_query("SAVED", mappings=[SAVED]),
            override_query("POLICY", mappings=[SAFE]),
        ],
        alerts=["RedisDown", "RedisPersistenceFailing", "RedisEvictionPolicyUnsafe"],
    ),
    graph(
        "Memory",
        "Bytes that the server allocated, occupies in the system, and may have at most. If it occupies far more than it"
        " allocated, memory is fragmented; without a maximum, set one below the host's memory.",
        [
            query(_newest("redis_memory_used_bytes"), f"{EACH} allocated"),
            query(_newest("redis_memory_used_rss_bytes"), f"{EACH} occupied", "OCCUPIED"),
            query(f"{_newest('redis_memory_max_bytes')} > 0", f"{EACH} maximum", "MAXIMUM"),
        ],
        unit="bytes",
    ),
    graph(
        "Memory used of the maximum",
        "Share of `maxmemory` in use; 0 without a maximum. Above the limit, find the prefix that grew, shorten its time"
        " to live, or raise the maximum.",
        [
            query(f"stack_target:redis_memory_used_ratio:ratio{TARGET}", EACH),
            limits("redis_memory_used_ratio"),
        ],
        unit="percentunit",
        alerts=["RedisMemoryHigh"],
    ),
    graph(
        "Evicted keys",
        "Keys per second that the server dropped because memory was full. If there are any on a server with queues,"
        " jobs are being lost: free memory now.",
        [
            query(f"stack_target:redis_evicted_keys:rate{TARGET}", EACH),
            limits("redis_evicted_keys"),
        ],
        unit="cps",
        alerts=["RedisEvictingKeys"],
    ),
)

CACHE = row(
    "Cache and keys",
    8,
    graph(
        "Hit rate of the cache",
        "Ratio of look-ups that hit, of the cache alone: a server that queues share is not measured, because their"
        " look-ups are counted too. Below the limit, look for a deploy that changed keys or times to live.",
        [
            query(f"stack_target:redis_hit_ratio:ratio{TARGET}", EACH),
            limits("redis_hit_ratio"),
        ],
        unit="percentunit",
        maximum=1,
        missing="not measured: queues share this server, and the application exports no app_cache_requests_total",
        alerts=["HighCacheMissRate"],
    ),
    graph(
        "Keys by prefix",
        "Keys of each prefix that the inventory lists. If one grows without end, its keys have no time to live: find"
        " who writes them.",
        [query(_newest("redis_keys_count", "db", "key"), f"{EACH} {{{{key}}}}")],
        unit="short",
        missing="not measured: the inventory lists no prefixes",
    ),
    bars(
        "Highest counters",
        "The highest counters of the prefixes with `top`, such as rate limits. If one caller stands out, decide whether"
        " it is a client or an attack: `reset_rate_limit` or `block_ip`.",
        [newest(f"topk(10, {_newest('redis_key_value', 'db', 'key')})", f"{EACH} {{{{key}}}}")],
        unit="short",
        missing="not measured: the inventory lists no prefix with `top`",
    ),
    graph(
        "Keys",
        "Keys of each database, and those with a time to live. If most keys have none, memory only grows.",
        [
            query(_newest("redis_db_keys", "db"), f"{EACH} {{{{db}}}}"),
            query(_newest("redis_db_keys_expiring", "db"), f"{EACH} {{{{db}}}} expiring", "EXPIRING"),
        ],
        unit="short",
    ),
)

COMMANDS = row(
    "Commands and clients",
    8,
    graph(
        "Slow log",
        "Entries in the slow log, which keeps the newest (128 by default). If it grows, read `SLOWLOG GET 10`: a KEYS"
        " or a large range blocks everybody.",
        [query(_newest("redis_slowlog_length"), EACH)],
        unit="short",
        missing="not measured: the Redis user may not run SLOWLOG LEN",
    ),
    graph(
        "Slowest commands",
        "Mean time of the five slowest commands. If a command got slower without more calls, its keys grew.",
        [
            query(
                f"topk(5, {_rate('redis_commands_duration_seconds_total', 'cmd')}"
                f" / on (stack, target, cmd) ({_rate('redis_commands_total', 'cmd')} > 0))",
                f"{EACH} {{{{cmd}}}}",
            )
        ],
        unit="s",
        least_top=0.001,
        many=True,
    ),
    graph(
        "Commands",
        "Commands per second. If they jump without more traffic, look for a loop or a cache that no longer hits.",
        [query(_rate("redis_commands_processed_total"), EACH)],
        unit="ops",
    ),
    wide(
        graph(
            "Clients",
            "Connected clients, those that wait in a blocking command (idle workers), and connections that the server"
            " rejected per second. If it rejects any, raise `maxclients` or find the service that leaks connections.",
            [
                query(_newest("redis_connected_clients"), f"{EACH} connected"),
                query(_newest("redis_blocked_clients"), f"{EACH} blocking", "BLOCKING"),
                query(
                    f"stack_target:redis_rejected_connections:rate{TARGET}", f"{EACH} rejected per second", "REJECTED"
                ),
                limits("redis_rejected_connections"),
            ],
            unit="short",
            alerts=["RedisConnectionsRejected"],
        ),
        12,
    ),
    wide(
        graph(
            "Age of the snapshot",
            "Time since the last snapshot while changes wait for one. Above the limit, a crash loses these changes: run"
            " BGSAVE and look at the disk and the server's log.",
            [
                query(f"stack_target:redis_snapshot_age_seconds:max{TARGET}", EACH),
                limits("redis_snapshot_age_seconds"),
            ],
            unit="s",
            alerts=["RedisSnapshotOverdue"],
        ),
        12,
    ),
    width=8,
)

BOARD = board(
    "redis",
    "Redis",
    "Memory against its maximum, evictions, the hit rate of the cache alone, slow commands, keys by prefix, snapshots.",
    [*MEMORY, *CACHE, *COMMANDS],
    [targets_of("redis_up")],
)
