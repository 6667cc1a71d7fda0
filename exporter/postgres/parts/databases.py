"""Databases: connections, transactions, blocks, rows, errors and limits."""

from exporter.postgres.parts.ages import epoch, seconds
from exporter.postgres.parts.joined_statement import DATABASES
from exporter.postgres.parts.part import Part, counter, gauge

STATISTICS = Part(
    "databases",
    source="pg_stat_database",
    reads=("databases",),
    labels={"datname": "d.datname"},
    rows="FROM databases AS d JOIN pg_stat_database AS s ON s.datid = d.oid",
    most=DATABASES,
    values=(
        gauge(
            "pg_stat_database_numbackends", "Connections to the database, including the exporter's.", "s.numbackends"
        ),
        counter("pg_stat_database_xact_commit_total", "Transactions committed.", "s.xact_commit"),
        counter("pg_stat_database_xact_rollback_total", "Transactions rolled back.", "s.xact_rollback"),
        counter("pg_stat_database_blks_hit_total", "Blocks found in PostgreSQL's own cache.", "s.blks_hit"),
        counter("pg_stat_database_blks_read_total", "Blocks read from outside PostgreSQL's own cache.", "s.blks_read"),
        counter("pg_stat_database_tup_returned_total", "Rows read by scans.", "s.tup_returned"),
        counter("pg_stat_database_tup_fetched_total", "Rows fetched by index scans.", "s.tup_fetched"),
        counter("pg_stat_database_tup_inserted_total", "Rows inserted.", "s.tup_inserted"),
        counter("pg_stat_database_tup_updated_total", "Rows updated.", "s.tup_updated"),
        counter("pg_stat_database_tup_deleted_total", "Rows deleted.", "s.tup_deleted"),
        counter("pg_stat_database_deadlocks_total", "Deadlocks detected.", "s.deadlocks"),
        counter(
            "pg_stat_database_conflicts_total",
            "Queries cancelled on a standby because they conflicted with replay.",
            "s.conflicts",
        ),
        counter("pg_stat_database_temp_files_total", "Temporary files that queries wrote.", "s.temp_files"),
        counter("pg_stat_database_temp_bytes_total", "Bytes of temporary files that queries wrote.", "s.temp_bytes"),
        counter(
            "pg_stat_database_blk_read_seconds_total",
            "Time spent reading blocks, in seconds; 0 without track_io_timing.",
            seconds("s.blk_read_time"),
        ),
        counter(
            "pg_stat_database_blk_write_seconds_total",
            "Time that backends spent writing blocks, in seconds; 0 without track_io_timing.",
            seconds("s.blk_write_time"),
        ),
        counter(
            "pg_stat_database_active_seconds_total",
            "Time that sessions spent running queries, in seconds; a running query counts when it ends.",
            {14: seconds("s.active_time")},
        ),
        counter(
            "pg_stat_database_idle_in_transaction_seconds_total",
            "Time that sessions were idle in transactions, in seconds; an open transaction counts when it ends.",
            {14: seconds("s.idle_in_transaction_time")},
        ),
        counter("pg_stat_database_sessions_total", "Sessions started.", {14: "s.sessions"}),
        counter(
            "pg_stat_database_sessions_abandoned_total",
            "Sessions that ended because the connection to the client was lost.",
            {14: "s.sessions_abandoned"},
        ),
        counter("pg_stat_database_sessions_fatal_total", "Sessions ended by a fatal error.", {14: "s.sessions_fatal"}),
        counter("pg_stat_database_sessions_killed_total", "Sessions ended by an operator.", {14: "s.sessions_killed"}),
        counter(
            "pg_stat_database_parallel_workers_to_launch_total",
            "Parallel workers that queries planned to start.",
            {18: "s.parallel_workers_to_launch"},
        ),
        counter(
            "pg_stat_database_parallel_workers_launched_total",
            "Parallel workers that queries started; fewer than planned means that max_parallel_workers is used up.",
            {18: "s.parallel_workers_launched"},
        ),
        counter(
            "pg_stat_database_checksum_failures_total",
            "Pages with a wrong checksum; absent where the cluster has no checksums.",
            "s.checksum_failures",
        ),
        gauge(
            "pg_stat_database_checksum_last_failure_timestamp_seconds",
            "Time of the last wrong checksum, in seconds since 1970; absent if never.",
            epoch("s.checksum_last_failure"),
        ),
        gauge(
            "pg_stat_database_stats_reset_timestamp_seconds",
            "When the database's counters were last reset, in seconds since 1970; absent if never.",
            epoch("s.stats_reset"),
        ),
    ),
)

LIMITS = Part(
    "database limits",
    source="pg_database",
    reads=("databases",),
    labels={"datname": "d.datname"},
    rows="FROM databases AS d JOIN pg_database AS p ON p.oid = d.oid AND p.datconnlimit >= 0",
    most=DATABASES,
    values=(
        gauge(
            "pg_database_connection_limit",
            "Connections that a database may have; only databases with a limit.",
            "p.datconnlimit",
        ),
    ),
)

PARTS = (STATISTICS, LIMITS)
