"""Costs of statements: the most expensive ones one by one, the others together.

Numbers only, because pg_stat_statements(false) does not read the file of texts.
"""

from exporter.postgres.parts.ages import epoch, seconds
from exporter.postgres.parts.joined_statement import DATABASES
from exporter.postgres.parts.part import Part, counter, gauge

STATEMENTS = 100
OTHER = "other"

# Columns summed over users and levels, so that a statement of a database is one series.
_SUMS = {
    "calls": "calls",
    "exec_time": "total_exec_time",
    "plan_time": "total_plan_time",
    "rows": "rows",
    "hits": "shared_blks_hit",
    "reads": "shared_blks_read",
    "temp_writes": "temp_blks_written",
}
_TIMES = {
    108: {"read_time": "blk_read_time", "write_time": "blk_write_time"},
    111: {"read_time": "shared_blk_read_time", "write_time": "shared_blk_write_time"},
}


def _rows(version: int) -> str:
    columns = _SUMS | _TIMES[version]
    # Sums of integers would be numerics, which cost twice as much as everything else.
    sums = ", ".join(f"sum({name}::float8) AS {name}" for name in columns)
    return f"""
FROM (
    WITH statements AS MATERIALIZED (
        SELECT dbid, queryid, {", ".join(f"{column} AS {name}" for name, column in columns.items())}
        FROM {{schema}}.pg_stat_statements(false)
        WHERE dbid IN (SELECT oid FROM databases)
    ), top AS MATERIALIZED (
        SELECT dbid, queryid
        FROM statements
        WHERE queryid IS NOT NULL
        GROUP BY dbid, queryid
        ORDER BY sum(exec_time) DESC, dbid, queryid
        LIMIT {STATEMENTS}
    )
    SELECT dbid, queryid::text, {sums} FROM statements JOIN top USING (dbid, queryid) GROUP BY dbid, queryid
    UNION ALL
    SELECT dbid, '{OTHER}', {sums} FROM statements GROUP BY dbid
) AS summed JOIN databases AS d ON d.oid = summed.dbid"""


# As `other` the server returns the sums of all statements; `other_statements` turns them into counters.
COSTS = Part(
    "statements",
    source="pg_stat_statements",
    reads=("databases",),
    sessions=True,
    extension=True,
    labels={"datname": "d.datname", "queryid": "queryid"},
    rows={version: _rows(version) for version in _TIMES},
    most=STATEMENTS + DATABASES,
    values=(
        counter(
            "pg_stat_statements_calls_total",
            f"Calls of the statement; the {STATEMENTS} that took the most time, and all others together as `other`.",
            "calls",
        ),
        counter(
            "pg_stat_statements_seconds_total", "Time spent running the statement, in seconds.", seconds("exec_time")
        ),
        counter(
            "pg_stat_statements_plan_seconds_total",
            "Time spent planning the statement, in seconds; 0 without pg_stat_statements.track_planning.",
            seconds("plan_time"),
        ),
        counter("pg_stat_statements_rows_total", "Rows that the statement returned or changed.", "rows"),
        counter("pg_stat_statements_block_hits_total", "Blocks that the statement found in the cache.", "hits"),
        counter(
            "pg_stat_statements_block_reads_total", "Blocks that the statement read from outside the cache.", "reads"
        ),
        counter(
            "pg_stat_statements_temp_block_writes_total",
            "Blocks of temporary files that the statement wrote.",
            "temp_writes",
        ),
        counter(
            "pg_stat_statements_block_read_seconds_total",
            "Time that the statement spent reading blocks, in seconds; 0 without track_io_timing.",
            seconds("read_time"),
        ),
        counter(
            "pg_stat_statements_block_write_seconds_total",
            "Time that the statement spent writing blocks, in seconds; 0 without track_io_timing.",
            seconds("write_time"),
        ),
    ),
)

STORE = Part(
    "statement store",
    source="pg_stat_statements_info",
    extension=True,
    rows={109: "FROM {schema}.pg_stat_statements_info()"},
    values=(
        gauge(
            "pg_settings_pg_stat_statements_max",
            "Maximum statements that the server tracks; beyond it, the server drops the least used.",
            "current_setting('pg_stat_statements.max')",
        ),
        counter(
            "pg_stat_statements_dealloc_total",
            "Times that the server dropped the least-used statements to make room.",
            "dealloc",
        ),
        gauge(
            "pg_stat_statements_stats_reset_timestamp_seconds",
            "When the counters of all statements were last reset, in seconds since 1970.",
            epoch("stats_reset"),
        ),
    ),
)

PARTS = (COSTS, STORE)
