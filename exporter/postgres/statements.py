"""Statements: what they cost, the most expensive ones by themselves and the others together.

Numbers only: pg_stat_statements(false) does not read the file of texts.
"""

from exporter.postgres.ages import epoch, seconds
from exporter.postgres.part import Part, counter, gauge
from exporter.postgres.statement import DATABASES

STATEMENTS = 100
OTHER = "other"

# Users and levels of one statement are added up, so that a statement of a database is one series.
_ROWS = """
FROM (
    SELECT d.datname,
           s.queryid,
           row_number() OVER (ORDER BY sum(s.total_exec_time) DESC, d.datname, s.queryid) <= {statements}
               AND s.queryid IS NOT NULL AS top,
           sum(s.calls) AS calls, sum(s.total_exec_time) AS total_exec_time, sum(s.total_plan_time) AS total_plan_time,
           sum(s.rows) AS rows, sum(s.shared_blks_hit) AS shared_blks_hit, sum(s.shared_blks_read) AS shared_blks_read,
           sum(s.temp_blks_written) AS temp_blks_written, sum(s.{block}_read_time) AS read_time,
           sum(s.{block}_write_time) AS write_time
    FROM {{schema}}.pg_stat_statements(false) AS s JOIN databases AS d ON d.oid = s.dbid
    GROUP BY d.datname, s.queryid
) AS statements
GROUP BY datname, CASE WHEN top THEN queryid::text ELSE '{other}' END"""


def _rows(block: str) -> str:
    return _ROWS.format(statements=STATEMENTS, other=OTHER, block=block)


COSTS = Part(
    "statements",
    source="pg_stat_statements",
    reads=("databases",),
    sessions=True,
    extension=True,
    labels={"datname": "datname", "queryid": f"CASE WHEN top THEN queryid::text ELSE '{OTHER}' END"},
    rows={108: _rows("blk"), 111: _rows("shared_blk")},
    most=STATEMENTS + DATABASES,
    values=(
        counter("pg_stat_statements_calls_total", "Calls of a statement.", "sum(calls)"),
        counter(
            "pg_stat_statements_seconds_total",
            "Time spent on running a statement, in seconds.",
            seconds("sum(total_exec_time)"),
        ),
        counter(
            "pg_stat_statements_plan_seconds_total",
            "Time spent on planning a statement, in seconds; 0 without pg_stat_statements.track_planning.",
            seconds("sum(total_plan_time)"),
        ),
        counter("pg_stat_statements_rows_total", "Rows that a statement gave or changed.", "sum(rows)"),
        counter(
            "pg_stat_statements_block_hits_total", "Blocks that a statement found in the cache.", "sum(shared_blks_hit)"
        ),
        counter(
            "pg_stat_statements_block_reads_total", "Blocks that a statement had to read.", "sum(shared_blks_read)"
        ),
        counter(
            "pg_stat_statements_temp_block_writes_total",
            "Blocks of temporary files that a statement wrote.",
            "sum(temp_blks_written)",
        ),
        counter(
            "pg_stat_statements_block_read_seconds_total",
            "Time that a statement spent on reading blocks, in seconds; 0 without track_io_timing.",
            seconds("sum(read_time)"),
        ),
        counter(
            "pg_stat_statements_block_write_seconds_total",
            "Time that a statement spent on writing blocks, in seconds; 0 without track_io_timing.",
            seconds("sum(write_time)"),
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
            "Statements that are kept apart; beyond it the rarest are forgotten.",
            "current_setting('pg_stat_statements.max')",
        ),
        counter(
            "pg_stat_statements_dealloc_total",
            "Times that rare statements were forgotten to make room.",
            "dealloc",
        ),
        gauge(
            "pg_stat_statements_stats_reset_timestamp_seconds",
            "When the numbers of all statements were reset, in seconds since 1970.",
            epoch("stats_reset"),
        ),
    ),
)

PARTS = (COSTS, STORE)
