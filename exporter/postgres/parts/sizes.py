"""Sizes on disk, read in the background: the server counts files for them.

A relation that somebody holds, or waits to hold, exclusively is skipped: asking for its size would wait behind them.
"""

from exporter.postgres.parts.joined_statement import DATABASES
from exporter.postgres.parts.part import Part, gauge

SIZED_TABLES = 100
_PAGE = "current_setting('block_size')::float8"

DATABASE_SIZES = Part(
    "database sizes",
    source="pg_database_size()",
    reads=("databases",),
    cached=True,
    labels={"datname": "d.datname"},
    rows="""
FROM databases AS d
WHERE has_database_privilege(d.oid, 'CONNECT') OR pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')""",
    most=DATABASES,
    values=(gauge("pg_database_size_bytes", "All files of the database, in bytes.", "pg_database_size(d.oid)"),),
)

WAL_FILES = Part(
    "wal files",
    source="pg_ls_waldir()",
    cached=True,
    rows="FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'",
    values=(
        gauge("pg_wal_size_bytes", "All WAL files on disk, in bytes.", "coalesce(sum(size), 0)"),
        gauge("pg_wal_segments", "WAL files on disk.", "count(*)"),
    ),
)

# How wide a row is follows from what ANALYZE found; a row has 28 bytes of its own, and fields are aligned to 8.
# Of a table that was never counted about 100 rows are taken for a page, so that it is not missed for being new.
TABLE_SIZES = Part(
    "table sizes",
    source="pg_table_size(), pg_stats",
    cached=True,
    labels={"datname": "current_database()", "schemaname": "t.nspname", "relname": "t.relname"},
    rows=f"""
FROM (
    SELECT c.oid, n.nspname, c.relname, c.relnatts,
           pg_stat_get_dead_tuples(c.oid)::float8 AS dead,
           greatest(c.reltuples, 0)::float8 AS live,
           coalesce(substring(c.reloptions::text FROM 'fillfactor=(\\d+)')::float8, 100) / 100 AS fill
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    LEFT JOIN pg_class AS toast ON toast.oid = c.reltoastrelid
    WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND c.oid NOT IN (SELECT relation FROM locked)
    ORDER BY greatest(c.relpages, pg_stat_get_live_tuples(c.oid) / 100) + coalesce(toast.relpages, 0) DESC,
             n.nspname, c.relname
    LIMIT {SIZED_TABLES}
) AS t
CROSS JOIN LATERAL pg_relation_size(t.oid) AS heap
CROSS JOIN LATERAL (
    SELECT sum((1 - null_frac) * avg_width) AS width, count(*) AS columns
    FROM pg_stats AS s
    WHERE s.schemaname = t.nspname AND s.tablename = t.relname AND NOT s.inherited
) AS analyzed""",
    reads=("locked",),
    most=SIZED_TABLES,
    values=(
        gauge(
            "pg_stat_user_tables_table_size_bytes",
            f"The table with its long values and maps, in bytes; the {SIZED_TABLES} greatest tables that nobody locks "
            "exclusively.",
            "pg_table_size(t.oid)",
        ),
        gauge("pg_stat_user_tables_index_size_bytes", "Its indexes, in bytes.", "pg_indexes_size(t.oid)"),
        gauge(
            "pg_table_dead_bytes",
            "What dead rows take of the table, in bytes, estimated from their number.",
            "heap * t.dead / nullif(t.live + t.dead, 0)",
        ),
        gauge(
            "pg_table_bloat_bytes",
            "What the table has beyond the needs of its rows, in bytes, estimated from the rows' width; only tables "
            "that were analyzed and that the role may read.",
            "CASE WHEN analyzed.columns > 0 THEN greatest(heap - "
            f"ceil(t.live * (28 + ceil(analyzed.width / 8) * 8) / (({_PAGE} - 24) * t.fill)) * {_PAGE}, 0) END",
        ),
    ),
)
