"""The write-ahead log: its volume, its archiving, and the cost of checkpoints."""

from exporter.postgres.parts.ages import epoch, seconds
from exporter.postgres.parts.part import Part, counter, gauge

BACKEND_TYPES_AND_CONTEXTS = 60

WAL_WRITES = Part(
    "wal",
    source="pg_stat_wal",
    rows={14: "FROM pg_stat_wal"},
    values=(
        counter("pg_stat_wal_records_total", "WAL records generated.", "wal_records"),
        counter("pg_stat_wal_fpi_total", "Full pages written to WAL.", "wal_fpi"),
        counter("pg_stat_wal_bytes_total", "Bytes of WAL generated.", "wal_bytes"),
        counter(
            "pg_stat_wal_buffers_full_total",
            "Times that WAL was written because the WAL buffers were full.",
            "wal_buffers_full",
        ),
        counter("pg_stat_wal_write_total", "Writes of WAL to disk.", {14: "wal_write", 18: ""}),
        counter("pg_stat_wal_sync_total", "Flushes of WAL to disk.", {14: "wal_sync", 18: ""}),
        counter(
            "pg_stat_wal_write_seconds_total",
            "Time spent writing WAL, in seconds; 0 without track_wal_io_timing.",
            {14: seconds("wal_write_time"), 18: ""},
        ),
        counter(
            "pg_stat_wal_sync_seconds_total",
            "Time spent flushing WAL to disk, in seconds; 0 without track_wal_io_timing.",
            {14: seconds("wal_sync_time"), 18: ""},
        ),
    ),
)

ARCHIVER = Part(
    "archiver",
    source="pg_stat_archiver",
    rows="FROM pg_stat_archiver",
    values=(
        gauge(
            "pg_settings_archive_mode",
            "Whether WAL archiving is on (1).",
            "(current_setting('archive_mode') <> 'off')::int",
        ),
        counter("pg_stat_archiver_archived_total", "WAL files archived.", "archived_count"),
        counter("pg_stat_archiver_failed_total", "Failed attempts to archive a WAL file.", "failed_count"),
        gauge(
            "pg_stat_archiver_last_archived_timestamp_seconds",
            "When a WAL file was last archived, in seconds since 1970; absent if never.",
            epoch("last_archived_time"),
        ),
        gauge(
            "pg_stat_archiver_last_failed_timestamp_seconds",
            "When archiving last failed, in seconds since 1970; absent if never.",
            epoch("last_failed_time"),
        ),
    ),
)

CHECKPOINTS = Part(
    "checkpoints",
    source="pg_stat_checkpointer; pg_stat_bgwriter before 17",
    rows={13: "FROM pg_stat_bgwriter AS b", 17: "FROM pg_stat_checkpointer AS c CROSS JOIN pg_stat_bgwriter AS b"},
    values=(
        counter(
            "pg_stat_checkpointer_num_timed_total",
            "Checkpoints started by checkpoint_timeout.",
            {13: "b.checkpoints_timed", 17: "c.num_timed"},
        ),
        counter(
            "pg_stat_checkpointer_num_requested_total",
            "Checkpoints started by max_wal_size or on request.",
            {13: "b.checkpoints_req", 17: "c.num_requested"},
        ),
        counter(
            "pg_stat_checkpointer_num_done_total",
            "Checkpoints that were performed; the server skips a timed one if nothing has changed.",
            {18: "c.num_done"},
        ),
        counter(
            "pg_stat_checkpointer_restartpoints_timed_total",
            "Restartpoints of a standby that were due after checkpoint_timeout.",
            {17: "c.restartpoints_timed"},
        ),
        counter(
            "pg_stat_checkpointer_restartpoints_req_total",
            "Restartpoints of a standby that max_wal_size or a request asked for.",
            {17: "c.restartpoints_req"},
        ),
        counter(
            "pg_stat_checkpointer_restartpoints_done_total",
            "Restartpoints that a standby performed.",
            {17: "c.restartpoints_done"},
        ),
        counter(
            "pg_stat_checkpointer_write_seconds_total",
            "Time that checkpoints spent writing files, in seconds.",
            {13: seconds("b.checkpoint_write_time"), 17: seconds("c.write_time")},
        ),
        counter(
            "pg_stat_checkpointer_sync_seconds_total",
            "Time that checkpoints spent flushing files to disk, in seconds.",
            {13: seconds("b.checkpoint_sync_time"), 17: seconds("c.sync_time")},
        ),
        counter(
            "pg_stat_checkpointer_buffers_written_total",
            "Blocks that checkpoints wrote.",
            {13: "b.buffers_checkpoint", 17: "c.buffers_written"},
        ),
        counter("pg_stat_bgwriter_buffers_clean_total", "Blocks that the background writer wrote.", "b.buffers_clean"),
        counter(
            "pg_stat_bgwriter_maxwritten_clean_total",
            "Times that the background writer stopped at its limit, bgwriter_lru_maxpages.",
            "b.maxwritten_clean",
        ),
        counter("pg_stat_bgwriter_buffers_alloc_total", "Cache blocks allocated.", "b.buffers_alloc"),
        counter(
            "pg_stat_bgwriter_buffers_backend_total",
            "Blocks that sessions had to write themselves; from PostgreSQL 16 on, see pg_stat_io.",
            {13: "b.buffers_backend", 17: ""},
        ),
        counter(
            "pg_stat_bgwriter_buffers_backend_fsync_total",
            "Times that sessions had to flush a file themselves; from PostgreSQL 16 on, see pg_stat_io.",
            {13: "b.buffers_backend_fsync", 17: ""},
        ),
    ),
)

# A separate part, because managed services may forbid the function, which reads a file.
LAST_CHECKPOINT = Part(
    "last checkpoint",
    source="pg_control_checkpoint()",
    rows="FROM pg_control_checkpoint()",
    values=(
        gauge(
            "pg_last_checkpoint_timestamp_seconds",
            "Start of the last checkpoint, in seconds since 1970; on a standby, that of the primary.",
            epoch("checkpoint_time"),
        ),
    ),
)

# From 18 on the view also has rows for WAL, which are not in blocks and which WAL_WRITES covers.
IO = Part(
    "io",
    source="pg_stat_io",
    labels={"backend_type": "backend_type", "context": "context"},
    rows={
        16: f"""
FROM pg_stat_io
WHERE object <> 'wal'
GROUP BY backend_type, context
HAVING coalesce(sum(reads), 0) + coalesce(sum(writes), 0) + coalesce(sum(fsyncs), 0) > 0
ORDER BY backend_type, context
LIMIT {BACKEND_TYPES_AND_CONTEXTS}"""
    },
    most=BACKEND_TYPES_AND_CONTEXTS,
    values=(
        counter("pg_stat_io_reads_total", "Reads by type of process and context.", "sum(reads)"),
        counter("pg_stat_io_writes_total", "Writes by type of process and context.", "sum(writes)"),
        counter("pg_stat_io_fsyncs_total", "Flushes of files to disk by type of process and context.", "sum(fsyncs)"),
        counter(
            "pg_stat_io_evictions_total",
            "Blocks evicted from the cache by type of process and context.",
            "sum(evictions)",
        ),
    ),
)

PARTS = (WAL_WRITES, ARCHIVER, CHECKPOINTS, LAST_CHECKPOINT, IO)
