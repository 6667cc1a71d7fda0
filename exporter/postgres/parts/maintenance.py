"""Long-term health: transaction IDs, and holders that keep dead rows from being removed."""

from exporter.postgres.parts.ages import age
from exporter.postgres.parts.joined_statement import DATABASES
from exporter.postgres.parts.part import Part, gauge

WRAPAROUND = Part(
    "transaction ids",
    source="pg_database",
    labels={"datname": "datname"},
    # Including templates: an old one stops the whole server like any other database.
    rows=f"FROM pg_database ORDER BY age(datfrozenxid) DESC, datname LIMIT {DATABASES}",
    most=DATABASES,
    values=(
        gauge(
            "pg_xid_age",
            "Age of the database's oldest unfrozen transaction ID, in transactions; the server stops at 2 billion.",
            "age(datfrozenxid)",
        ),
        gauge(
            "pg_multixact_age",
            "Age of the database's oldest unfrozen multixact (row-lock group), in multixacts; the server stops at 2 "
            "billion.",
            "mxid_age(datminmxid)",
        ),
    ),
)

HORIZON = Part(
    "removal horizon",
    source="pg_stat_activity, pg_prepared_xacts, pg_replication_slots, pg_stat_replication",
    reads=("sessions",),
    sessions=True,
    labels={"holder": "holder"},
    rows="""
FROM (
    SELECT CASE backend_type WHEN 'walsender' THEN 'standby' ELSE 'session' END AS holder, age(backend_xmin) AS held
    FROM sessions WHERE own IS NOT TRUE
    UNION ALL SELECT 'prepared transaction', age(transaction) FROM pg_prepared_xacts
    UNION ALL SELECT 'replication slot', age(xmin) FROM pg_replication_slots
    UNION ALL SELECT 'logical replication slot', age(catalog_xmin) FROM pg_replication_slots
    UNION ALL SELECT unnest(ARRAY['session', 'standby', 'prepared transaction', 'replication slot',
                                  'logical replication slot']), 0
) AS holders
GROUP BY holder""",
    most=5,
    values=(
        gauge(
            "pg_xmin_horizon_age",
            "Age of the oldest transaction whose dead rows the holder keeps from being removed, in transactions; 0 if "
            "there is none.",
            "max(held)",
        ),
    ),
)

PREPARED_TRANSACTIONS = Part(
    "prepared transactions",
    source="pg_prepared_xacts",
    reads=("databases",),
    labels={"datname": "d.datname"},
    rows="FROM databases AS d LEFT JOIN pg_prepared_xacts AS p ON p.database = d.datname GROUP BY d.datname",
    most=DATABASES,
    values=(
        gauge("pg_prepared_transactions", "Prepared transactions that are still open.", "count(p.gid)"),
        gauge(
            "pg_prepared_transaction_max_age_seconds",
            "Age of the oldest prepared transaction, in seconds; 0 if there is none.",
            f"coalesce(max({age('p.prepared')}), 0)",
        ),
    ),
)

VACUUMS = Part(
    "running vacuums",
    source="pg_stat_progress_vacuum",
    reads=("databases",),
    labels={"datname": "d.datname"},
    rows="FROM databases AS d LEFT JOIN pg_stat_progress_vacuum AS v ON v.datid = d.oid GROUP BY d.datname",
    most=DATABASES,
    values=(gauge("pg_vacuums_running", "Running vacuums, automatic and manual.", "count(v.pid)"),),
)

PARTS = (WRAPAROUND, HORIZON, PREPARED_TRANSACTIONS, VACUUMS)
