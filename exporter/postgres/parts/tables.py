"""Tables of one database: live, dead and changed rows, scans and maintenance.

None of these parts waits for a table lock.
"""

from exporter.postgres.parts.ages import epoch
from exporter.postgres.parts.joined_statement import TABLES
from exporter.postgres.parts.part import Part, Value, counter, gauge

NUMBER = Part(
    "table count",
    source="pg_class",
    reads=("tables",),
    labels={"datname": "current_database()"},
    values=(
        gauge(
            "pg_tables",
            f"Tables of the database; the {TABLES} with the most rows (live and dead) have metrics of their own.",
            "coalesce((SELECT number FROM tables LIMIT 1), 0)",
        ),
    ),
)


def _time(name: str, event: str) -> Value:
    return gauge(
        f"pg_stat_user_tables_last_{name}_timestamp_seconds",
        f"Time of the last {event}, in seconds since 1970; absent if never.",
        epoch(f"pg_stat_get_last_{name}_time(t.oid)"),
    )


def _count(name: str, help: str, function: str) -> Value:
    return counter(f"pg_stat_user_tables_{name}_total", help, f"pg_stat_get_{function}(t.oid)")


STATISTICS = Part(
    "tables",
    source="pg_stat_user_tables",
    labels={"datname": "current_database()", "schemaname": "t.nspname", "relname": "t.relname"},
    reads=("tables",),
    rows="FROM tables AS t",
    most=TABLES,
    values=(
        gauge("pg_stat_user_tables_n_live_tup", "Live rows, estimated.", "pg_stat_get_live_tuples(t.oid)"),
        gauge("pg_stat_user_tables_n_dead_tup", "Dead rows, estimated.", "pg_stat_get_dead_tuples(t.oid)"),
        gauge(
            "pg_stat_user_tables_n_mod_since_analyze",
            "Rows changed since the last analyze, estimated.",
            "pg_stat_get_mod_since_analyze(t.oid)",
        ),
        gauge(
            "pg_stat_user_tables_n_ins_since_vacuum",
            "Rows inserted since the last vacuum, estimated.",
            "pg_stat_get_ins_since_vacuum(t.oid)",
        ),
        _count("seq_scan", "Sequential scans of the table.", "numscans"),
        _count("seq_tup_read", "Rows that sequential scans read.", "tuples_returned"),
        counter(
            "pg_stat_user_tables_idx_scan_total",
            "Scans of the indexes that the table has now: PostgreSQL forgets those of a dropped index.",
            "(SELECT coalesce(sum(pg_stat_get_numscans(indexrelid)), 0) FROM pg_index WHERE indrelid = t.oid)",
        ),
        _count("n_tup_ins", "Rows inserted.", "tuples_inserted"),
        _count("n_tup_upd", "Rows updated.", "tuples_updated"),
        _count("n_tup_hot_upd", "Rows updated without touching an index.", "tuples_hot_updated"),
        _count("n_tup_del", "Rows deleted.", "tuples_deleted"),
        _count("vacuum", "Manual vacuums, without VACUUM FULL.", "vacuum_count"),
        _count("autovacuum", "Automatic vacuums.", "autovacuum_count"),
        _count("analyze", "Manual analyzes.", "analyze_count"),
        _count("autoanalyze", "Automatic analyzes.", "autoanalyze_count"),
        _time("vacuum", "manual vacuum"),
        _time("autovacuum", "automatic vacuum"),
        _time("analyze", "manual analyze"),
        _time("autoanalyze", "automatic analyze"),
        gauge(
            "pg_table_xid_age",
            "Age of the table's oldest unfrozen transaction ID, in transactions.",
            "CASE WHEN t.relfrozenxid::text <> '0' THEN age(t.relfrozenxid) END",
        ),
    ),
)

PARTS = (NUMBER, STATISTICS)
