"""Indexes of one database, read in the background: counts, and the invalid and largest.

Only catalogs are read, so that no lock is awaited; their page counts are those of the last VACUUM or ANALYZE.
"""

from exporter.postgres.parts.part import Part, counter, gauge

INDEXES = 100
_PAGE = "current_setting('block_size')::float8"

_LISTED = f"""
SELECT c.oid, n.nspname, t.relname AS table_name, c.relname AS index_name, i.indisvalid AS valid,
       greatest(c.relpages, 0) * {_PAGE} AS bytes, pg_stat_get_numscans(c.oid) AS scans,
       NOT i.indisunique AND NOT i.indisexclusion AND pg_stat_get_numscans(c.oid) = 0 AS unused
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid AND c.relkind = 'i'
JOIN pg_class AS t ON t.oid = i.indrelid AND t.relpersistence <> 't'
JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"""

COUNTS = Part(
    "index counts",
    source="pg_index, pg_stat_user_indexes",
    cached=True,
    labels={"datname": "current_database()"},
    rows=f"FROM ({_LISTED}) AS indexes",
    values=(
        gauge("pg_indexes", f"Indexes of the database; up to {INDEXES} have metrics of their own.", "count(*)"),
        gauge(
            "pg_invalid_indexes",
            "Indexes that no query uses because their build failed or is still running.",
            "count(*) FILTER (WHERE NOT valid)",
        ),
        gauge(
            "pg_unused_indexes",
            "Indexes not scanned since the statistics were reset; unique and exclusion indexes are not counted.",
            "count(*) FILTER (WHERE unused)",
        ),
        gauge(
            "pg_unused_index_bytes",
            "Size of the unused indexes, in bytes, as of the last VACUUM or ANALYZE.",
            "coalesce(sum(bytes) FILTER (WHERE unused), 0)",
        ),
    ),
)

LARGEST = Part(
    "indexes",
    source="pg_stat_user_indexes",
    cached=True,
    labels={
        "datname": "current_database()",
        "schemaname": "nspname",
        "relname": "table_name",
        "indexrelname": "index_name",
    },
    rows=f"""
FROM (
    {_LISTED}
    ORDER BY i.indisvalid, c.relpages DESC, n.nspname, c.relname
    LIMIT {INDEXES}
) AS indexes""",
    most=INDEXES,
    values=(
        counter(
            "pg_stat_user_indexes_idx_scan_total",
            f"Scans of the index; only the invalid and the largest indexes, {INDEXES} in all.",
            "scans",
        ),
        counter(
            "pg_stat_user_indexes_idx_tup_read_total",
            "Index entries that scans returned.",
            "pg_stat_get_tuples_returned(oid)",
        ),
        gauge("pg_index_valid", "Whether queries can use the index (1).", "valid::int"),
        gauge("pg_index_size_bytes", "Size of the index, in bytes, as of the last VACUUM or ANALYZE.", "bytes"),
    ),
)
