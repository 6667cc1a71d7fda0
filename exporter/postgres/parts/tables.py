"""Tables of one database: what is live, dead and changed in them, and when they were looked after.

Nothing here waits for a lock on a table.
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
            f"Tables of the database; the {TABLES} with the most rows, live and dead, have metrics of their own.",
            "coalesce((SELECT number FROM tables LIMIT 1), 0)",
        ),
    ),
)


def _time(name: str, event: str) -> Value:
    return gauge(
        f"pg_stat_user_tables_last_{name}_timestamp_seconds",
        f"When {event} last, in seconds since 1970; nothing if never.",
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
            "Rows changed since the table was analyzed, estimated.",
            "pg_stat_get_mod_since_analyze(t.oid)",
        ),
        gauge(
            "pg_stat_user_tables_n_ins_since_vacuum",
            "Rows inserted since the table was vacuumed, estimated.",
            "pg_stat_get_ins_since_vacuum(t.oid)",
        ),
        _count("seq_scan", "Scans of the whole table.", "numscans"),
        _count("seq_tup_read", "Rows that scans of the whole table read.", "tuples_returned"),
        counter(
            "pg_stat_user_tables_idx_scan_total",
            "Scans of its indexes.",
            "(SELECT coalesce(sum(pg_stat_get_numscans(indexrelid)), 0) FROM pg_index WHERE indrelid = t.oid)",
        ),
        _count("n_tup_ins", "Rows inserted.", "tuples_inserted"),
        _count("n_tup_upd", "Rows updated.", "tuples_updated"),
        _count("n_tup_hot_upd", "Rows updated without touching an index.", "tuples_hot_updated"),
        _count("n_tup_del", "Rows deleted.", "tuples_deleted"),
        _count("vacuum", "Vacuums by hand, without VACUUM FULL.", "vacuum_count"),
        _count("autovacuum", "Automatic vacuums.", "autovacuum_count"),
        _count("analyze", "Analyzes by hand.", "analyze_count"),
        _count("autoanalyze", "Automatic analyzes.", "autoanalyze_count"),
        _time("vacuum", "it was vacuumed by hand"),
        _time("autovacuum", "it was vacuumed automatically"),
        _time("analyze", "it was analyzed by hand"),
        _time("autoanalyze", "it was analyzed automatically"),
        gauge(
            "pg_table_xid_age",
            "Transactions since the oldest that the table has not frozen.",
            "CASE WHEN t.relfrozenxid::text <> '0' THEN age(t.relfrozenxid) END",
        ),
    ),
)

PARTS = (NUMBER, STATISTICS)
