"""The server itself: its version, its limits, and the settings that runbooks name.

Values are those of the exporter's session. Settings that the exporter sets for itself are left out, and so are those of
its role, because they hide the server's.
"""

from collections.abc import Callable

from exporter.postgres.parts.ages import epoch
from exporter.postgres.parts.part import Part, Value, gauge
from exporter.postgres.parts.server import EXTENSION

EXTENSIONS = 100

RIGHTS = Part(
    "rights",
    source="pg_has_role()",
    values=(
        gauge(
            "pg_role_can_see_all_sessions",
            "Whether the exporter's role has the rights of pg_monitor (1); without them, session metrics are absent.",
            "pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')::int",
        ),
    ),
)

INFO = Part(
    "server",
    source="current_setting()",
    labels={"version": "split_part(current_setting('server_version'), ' ', 1)"},
    values=(gauge("pg_info", "Always 1; the label is the server's version.", "1"),),
)

TIMES = Part(
    "server times",
    source="pg_postmaster_start_time(), pg_conf_load_time()",
    values=(
        gauge(
            "pg_postmaster_start_time_seconds",
            "When the server was started, in seconds since 1970.",
            epoch("pg_postmaster_start_time()"),
        ),
        gauge(
            "pg_conf_load_timestamp_seconds",
            "When the server last read its configuration, in seconds since 1970.",
            epoch("pg_conf_load_time()"),
        ),
    ),
)


def _current(name: str) -> str:
    return f"current_setting('{name}')"


def _of_the_server(name: str) -> str:
    """Return the SQL of a setting that sessions can change; NULL if the exporter's role has its own."""
    return f"CASE WHEN '{name}' <> ALL (own.names) THEN {_current(name)} END"


_OF_THE_ROLE = """
FROM (
    SELECT ARRAY(
        SELECT split_part(unnest(setconfig), '=', 1)
        FROM pg_db_role_setting
        WHERE setrole = to_regrole(quote_ident(session_user))
            AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
    ) AS names
) AS own"""
Read = Callable[[str], str]


def _number(name: str, help: str, read: Read = _current) -> Value:
    return gauge(f"pg_settings_{name}", help, read(name))


def _switch(name: str, help: str, read: Read = _current) -> Value:
    return gauge(f"pg_settings_{name}", help, f"({read(name)})::bool::int")


def _bytes(name: str, help: str, read: Read = _current) -> Value:
    return gauge(f"pg_settings_{name}_bytes", help, f"pg_size_bytes({read(name)})")


def _seconds(name: str, help: str, read: Read = _current) -> Value:
    return gauge(f"pg_settings_{name}_seconds", help, f"extract(epoch FROM ({read(name)})::interval)")


def _seconds_from(version: int, name: str, help: str) -> Value:
    value = _seconds(name, help, _of_the_server)
    return gauge(value.name, value.help, {version: str(value.sql)})


SETTINGS = Part(
    "settings",
    source="current_setting()",
    values=(
        _number("max_connections", "Connections that the server allows, reserved ones included."),
        _number("superuser_reserved_connections", "Connections that only superusers can get."),
        gauge(
            "pg_settings_reserved_connections",
            "Connections that only roles with pg_use_reserved_connections can get.",
            {16: "current_setting('reserved_connections')"},
        ),
        _bytes("shared_buffers", "PostgreSQL's own cache, in bytes."),
        _bytes("max_wal_size", "Amount of WAL that triggers a checkpoint, in bytes."),
        gauge(
            "pg_settings_max_slot_wal_keep_size_bytes",
            "WAL that a replication slot may keep, in bytes; absent without a limit.",
            "CASE WHEN current_setting('max_slot_wal_keep_size') <> '-1' "
            "THEN pg_size_bytes(current_setting('max_slot_wal_keep_size')) END",
        ),
        _seconds("checkpoint_timeout", "Maximum time between two checkpoints, in seconds."),
        _number("max_locks_per_transaction", "Locks per connection that the lock table has room for."),
        _number("max_prepared_transactions", "Prepared transactions that the server allows."),
        _number("max_wal_senders", "WAL receivers that the server allows."),
        _number("max_replication_slots", "Replication slots that the server allows."),
        _number("autovacuum_freeze_max_age", "Age in transactions at which autovacuum freezes a table."),
        _number("autovacuum_multixact_freeze_max_age", "Age in multixacts at which autovacuum freezes a table."),
        _number("autovacuum_max_workers", "Automatic vacuums that may run at the same time."),
        _number("autovacuum_vacuum_threshold", "Changed rows that autovacuum waits for, besides a share of the table."),
        _number("autovacuum_vacuum_scale_factor", "Share of a table's rows that autovacuum waits for."),
        _number("max_worker_processes", "Background processes that the server allows."),
        _switch("autovacuum", "Whether tables are vacuumed automatically (1)."),
        _switch("fsync", "Whether commits are flushed to disk (1)."),
        _switch("full_page_writes", "Whether torn pages can be repaired after a crash (1)."),
        _switch("data_checksums", "Whether pages have checksums (1)."),
    ),
)

# A separate part: it needs a catalog, and the limits of the server do not.
SESSION_SETTINGS = Part(
    "session settings",
    source="current_setting()",
    rows=_OF_THE_ROLE,
    values=(
        _bytes(
            "effective_cache_size", "Size that the planner assumes for all caches together, in bytes.", _of_the_server
        ),
        _bytes("work_mem", "Memory that one sort or hash may use before it spills to disk, in bytes.", _of_the_server),
        _bytes("maintenance_work_mem", "Memory that one vacuum or index build may use, in bytes.", _of_the_server),
        _seconds(
            "idle_in_transaction_session_timeout",
            "Time after which the server ends a session that is idle in a transaction, in seconds; 0 means never.",
            _of_the_server,
        ),
        _seconds(
            "deadlock_timeout",
            "Time that a session waits for a lock before the server checks for a deadlock, in seconds.",
            _of_the_server,
        ),
        _seconds_from(
            14,
            "idle_session_timeout",
            "Time after which the server ends an idle session without a transaction, in seconds; 0 means never. Absent "
            "while the exporter's role has its own.",
        ),
        _seconds_from(
            17,
            "transaction_timeout",
            "Time after which the server ends a session whose transaction lasts longer, in seconds; 0 means never.",
        ),
        _number(
            "max_parallel_workers",
            "Background processes that may serve parallel queries at the same time.",
            _of_the_server,
        ),
        _number("random_page_cost", "Cost of a random read that the planner assumes.", _of_the_server),
        _number("seq_page_cost", "Cost of a sequential read that the planner assumes.", _of_the_server),
        _switch("track_counts", "Whether table activity is counted (1); autovacuum needs it.", _of_the_server),
        _switch("track_io_timing", "Whether reads and writes are timed (1).", _of_the_server),
    ),
)

EXTENSION_VERSIONS = Part(
    "extensions",
    source="pg_extension",
    labels={"datname": "current_database()", "extname": "extname", "extversion": "extversion"},
    rows=f"FROM pg_extension ORDER BY extname <> '{EXTENSION}', extname LIMIT {EXTENSIONS}",
    most=EXTENSIONS,
    values=(
        gauge(
            "pg_extension_info", "Always 1; the labels are an extension of the connected database and its version.", "1"
        ),
    ),
)

PARTS = (RIGHTS, INFO, TIMES, SETTINGS, SESSION_SETTINGS, EXTENSION_VERSIONS)
