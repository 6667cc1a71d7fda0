"""Sizes on disk, read in the background because the server counts files for them.

A relation with an exclusive lock, held or requested, is skipped: reading its size would wait for that lock.
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
    values=(gauge("pg_database_size_bytes", "Size of the database's files, in bytes.", "pg_database_size(d.oid)"),),
)

WAL_FILES = Part(
    "wal files",
    source="pg_ls_waldir()",
    cached=True,
    rows="FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'",
    values=(
        gauge("pg_wal_size_bytes", "Size of the WAL files on disk, in bytes.", "coalesce(sum(size), 0)"),
        gauge("pg_wal_segments", "WAL files on disk.", "count(*)"),
    ),
)

# The width of a row comes from ANALYZE; a row adds 28 bytes, and fields are aligned to 8. A table without a page count
# is assumed to have 100 rows per page, so that new tables are not missed.
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
           coalesce(substring(c.reloptions::text FROM 'fillfactor=([0-9]+)')::float8, 100) / 100 AS fill
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
            f"Size of the table with TOAST data and maps, in bytes; only the {SIZED_TABLES} largest tables without an "
            "exclusive lock.",
            "pg_table_size(t.oid)",
        ),
        gauge(
            "pg_stat_user_tables_index_size_bytes", "Size of the table's indexes, in bytes.", "pg_indexes_size(t.oid)"
        ),
        gauge(
            "pg_table_dead_bytes",
            "Bytes of the table that dead rows occupy, estimated from their number.",
            "heap * t.dead / nullif(t.live + t.dead, 0)",
        ),
        gauge(
            "pg_table_bloat_bytes",
            "Bytes of the table that its live rows do not need, estimated from their width; only analyzed tables that "
            "the role may read.",
            "CASE WHEN analyzed.columns > 0 THEN greatest(heap - "
            f"ceil(t.live * (28 + ceil(analyzed.width / 8) * 8) / (({_PAGE} - 24) * t.fill)) * {_PAGE}, 0) END",
        ),
    ),
)
