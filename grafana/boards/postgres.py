"""The board of PostgreSQL: sessions and waits, statements, upkeep of tables, sizes, replication."""

from grafana.dashboard import DATABASES, board, targets_of
from grafana.panels import (
    column,
    graph,
    limits,
    newest,
    override,
    override_query,
    query,
    row,
    stat,
    states,
    table,
    wide,
)
from grafana.words import ANY_IS_RED, TARGET, UP

EACH = "{{stack}} {{target}}"
DATABASE = '{stack=~"$stack",target=~"$target",datname=~"$database"}'
BLIND = states({0: ("sees only its own sessions", "orange")})
STATEMENT = "stack, target, datname, queryid"
TABLE = "stack, target, datname, schemaname, relname"

# The boards' own choice of rows, not a limit of a runbook.
STATEMENTS = 20
TABLES = 25


def _statement(counter: str) -> str:
    selector = '{stack=~"$stack",target=~"$target",datname=~"$database",queryid!="other"}'
    return f"max by ({STATEMENT}) (rate(pg_stat_statements_{counter}_total{selector}[$__range]))"


LOAD = f"topk({STATEMENTS}, {_statement('seconds')} > 0)"
LARGEST = f"topk({TABLES}, max by ({TABLE}) (pg_stat_user_tables_table_size_bytes{DATABASE}))"


def _of_statements(expr: str) -> str:
    return f"{expr} and on ({STATEMENT}) {LOAD}"


def _of_tables(expr: str) -> str:
    return f"{expr} and on ({TABLE}) {LARGEST}"


def _when(done: str) -> str:
    return f"stack_target_table:pg_table_{done}_timestamp_seconds:seen{DATABASE} * 1000"


SESSIONS = row(
    "Servers and sessions",
    8,
    stat(
        "Server",
        "Whether each server answers, its checksum failures within a day, and its invalid indexes. If it is down, look"
        " at its log first; if a page is damaged, stop writing and prepare a restore.",
        [
            newest(f"min by (stack, target) (pg_up{TARGET})", EACH, "UP"),
            newest(f"stack_target:pg_checksum_failures:sum{TARGET}", f"{EACH} damaged pages", "CHECKSUMS"),
            newest(f"stack_target:pg_invalid_indexes:sum{TARGET}", f"{EACH} invalid indexes", "INDEXES"),
            newest(f"max by (stack, target) (pg_role_can_see_all_sessions{TARGET}) == 0", f"{EACH} role", "BLIND"),
        ],
        unit="none",
        steps=ANY_IS_RED,
        overrides=[override_query("UP", mappings=[UP]), override_query("BLIND", mappings=[BLIND])],
        alerts=["DatabaseDown", "DatabaseChecksumFailures", "InvalidIndexes", "ExporterBlind"],
    ),
    graph(
        "Connections used",
        "Share of the connections that clients may have. Above the limit, see which state or role holds them: idle ones"
        " point at the size of the application's pool.",
        [
            query(f"stack_target:pg_connections_used_ratio:ratio{TARGET}", EACH),
            limits("pg_connections_used_ratio"),
        ],
        unit="percentunit",
        alerts=["DatabaseConnectionsHigh"],
    ),
    graph(
        "Sessions",
        "Sessions by state, those that wait for a lock and those that hold it, requests that wait for the"
        " application's pool, and the number that the server admits. If few sessions block many, end the blocker.",
        [
            query(
                f"sum by (stack, target, state) (max by (stack, target, datname, state) (pg_connections{DATABASE}))",
                f"{EACH} {{{{state}}}}",
            ),
            query(f"max by (stack, target) (pg_sessions_blocked{TARGET})", f"{EACH} blocked", "BLOCKED"),
            query(f"max by (stack, target) (pg_sessions_blocking{TARGET})", f"{EACH} blocking", "BLOCKING"),
            query(f"max by (stack, target) (pg_settings_max_connections{TARGET})", f"{EACH} admitted", "ADMITTED"),
            query(
                'stack:application_pool_waiting_requests:max{stack=~"$stack"}', "{{stack}} waiting for the pool", "POOL"
            ),
            limits("application_pool_waiting_requests"),
        ],
        unit="short",
        many=True,
        alerts=["DatabasePoolExhausted"],
    ),
)

WAITS = row(
    "Waits",
    8,
    graph(
        "Longest idle in transaction",
        "Age of the longest idle-in-transaction session. It keeps its locks and holds back vacuum: above the limit,"
        " `terminate_idle_transactions` ends it; then fix the code that leaves it open.",
        [
            query(f"stack_target:pg_idle_in_transaction_max_age_seconds:max{TARGET}", EACH),
            limits("pg_idle_in_transaction_max_age_seconds"),
        ],
        unit="s",
        alerts=["IdleInTransactionTooLong"],
    ),
    graph(
        "Longest query",
        "Age of the oldest query of a client. Above the limit, find it in the statements below; `cancel_long_queries`"
        " ends it if nobody needs the result.",
        [
            query(f"stack_target:pg_query_max_age_seconds:max{TARGET}", EACH),
            limits("pg_query_max_age_seconds"),
        ],
        unit="s",
        alerts=["LongRunningQuery", "VeryLongRunningQuery"],
    ),
    graph(
        "Longest wait for a lock",
        "Longest time that a session has waited for a lock. If it rises, `runbookctl plan` of"
        " terminate_idle_transactions shows who holds it; a migration may hold it on purpose.",
        [
            query(f"stack_target:pg_blocked_max_age_seconds:max{TARGET}", EACH),
            limits("pg_blocked_max_age_seconds"),
        ],
        unit="s",
        alerts=["DatabaseLocksWaiting"],
    ),
)

WORK = row(
    "Work",
    9,
    wide(
        graph(
            "Slowest statement",
            "Mean time of the slowest regular statement over five minutes, and of any statement over two hours. Above a"
            " limit, read its plan with EXPLAIN (ANALYZE, BUFFERS): usually an index is missing or statistics are old.",
            [
                query(f"stack_target:pg_statement_mean_seconds:max{TARGET}", EACH),
                query(f"stack_target:pg_statement_runaway_seconds:max{TARGET}", f"{EACH}, two hours", "RUNAWAY"),
                limits("pg_statement_mean_seconds", "pg_statement_runaway_seconds"),
            ],
            unit="s",
            missing="not measured: pg_stat_statements is not loaded",
            alerts=["SlowDatabaseQueries", "RunawayQueries"],
        ),
        8,
    ),
    wide(
        table(
            "Statements",
            "The statements that took the most time in the shown range. Start at the top: a load of 1 keeps one core"
            " busy. The text needs `statement_texts: true`; else look the query id up in pg_stat_statements.",
            [
                column(LOAD, "LOAD"),
                column(
                    _of_statements(f"{_statement('seconds')} / on ({STATEMENT}) ({_statement('calls')} > 0)"), "MEAN"
                ),
                column(_of_statements(_statement("calls")), "CALLS"),
                column(
                    _of_statements(f"max by ({STATEMENT}, query) (pg_stat_statements_query_info{DATABASE})"), "TEXT"
                ),
            ],
            columns={
                "stack": "Stack",
                "target": "Target",
                "datname": "Database",
                "queryid": "Query id",
                "Value #LOAD": "Load",
                "Value #MEAN": "Mean",
                "Value #CALLS": "Calls per second",
                "query": "Text",
            },
            hidden=["Value #TEXT"],
            sort="Load",
            units={"Load": "none", "Mean": "s", "Calls per second": "cps"},
            widths={"Target": 80, "Database": 90, "Query id": 185, "Load": 80, "Mean": 90, "Calls per second": 130},
            overrides=[override("Load", decimals=3)],
            missing="not measured: pg_stat_statements is not loaded",
        ),
        16,
    ),
)

UPKEEP = row(
    "Upkeep",
    9,
    wide(
        graph(
            "Age of vacuum and analyze",
            "Time since the table that needs it most was vacuumed or analyzed; one that never was counts from when it"
            " was first seen. Above the limit, start `vacuum_tables` or `analyze_tables` in a quiet hour.",
            [
                query(f"stack_target:pg_table_vacuum_age_seconds:max{TARGET}", f"{EACH} vacuum"),
                query(f"stack_target:pg_table_analyze_age_seconds:max{TARGET}", f"{EACH} analyze", "ANALYZE"),
                limits("pg_table_vacuum_age_seconds", "pg_table_analyze_age_seconds"),
            ],
            unit="s",
            alerts=["VacuumOverdue", "AnalyzeOverdue"],
        ),
        8,
    ),
    wide(
        table(
            "Tables",
            "The largest tables. If bloat is a large part of the size, plan pg_repack or a VACUUM FULL in a window; if"
            " dead rows stay, look for an old transaction that holds vacuum back.",
            [
                column(LARGEST, "SIZE"),
                column(_of_tables(f"max by ({TABLE}) (pg_table_bloat_bytes{DATABASE})"), "BLOAT"),
                column(_of_tables(f"max by ({TABLE}) (pg_stat_user_tables_n_dead_tup{DATABASE})"), "DEAD"),
                column(
                    _of_tables(f"stack_target_table:pg_table_vacuumed_timestamp_seconds:seen{DATABASE} * 1000"),
                    "VACUUM",
                ),
                column(
                    _of_tables(f"stack_target_table:pg_table_analyzed_timestamp_seconds:seen{DATABASE} * 1000"),
                    "ANALYZE",
                ),
            ],
            columns={
                "stack": "Stack",
                "target": "Target",
                "datname": "Database",
                "schemaname": "Schema",
                "relname": "Table",
                "Value #SIZE": "Size",
                "Value #BLOAT": "Bloat",
                "Value #DEAD": "Dead rows",
                "Value #VACUUM": "Vacuumed",
                "Value #ANALYZE": "Analyzed",
            },
            sort="Size",
            units={
                "Size": "bytes",
                "Bloat": "bytes",
                "Dead rows": "short",
                "Vacuumed": "dateTimeFromNow",
                "Analyzed": "dateTimeFromNow",
            },
            widths={"Target": 80, "Database": 90, "Schema": 80, "Size": 90, "Bloat": 90, "Dead rows": 90},
        ),
        16,
    ),
)

STORAGE = row(
    "Sizes, replication, transaction ids",
    8,
    graph(
        "Size and growth",
        "Size of each database, and its growth per day at the pace of the shown range. If it grows faster than the"
        " business, find the table that grows; plan disk for three months.",
        [
            query(f"max by (stack, target, datname) (pg_database_size_bytes{DATABASE})", f"{EACH} {{{{datname}}}}"),
            query(
                f"24 * 3600 * max by (stack, target, datname) (deriv(pg_database_size_bytes{DATABASE}[$__range]))",
                f"{EACH} {{{{datname}}}}, a day",
                "GROWTH",
            ),
        ],
        unit="bytes",
        many=True,
    ),
    graph(
        "Replication and archiving",
        "Lag of standbys, and the age of the last archived WAL while some waits. If the lag grows, look at the"
        " standby's disk and at long queries on it; if archiving stalls, its command fails: see the server's log.",
        [
            query(f"stack_target:pg_replication_lag_seconds:max{TARGET}", f"{EACH} lag"),
            query(f"stack_target:pg_wal_archive_age_seconds:max{TARGET}", f"{EACH} archive", "ARCHIVE"),
            limits("pg_replication_lag_seconds", "pg_wal_archive_age_seconds"),
        ],
        unit="s",
        alerts=["ReplicationLagHigh", "WalArchiveStale"],
    ),
    graph(
        "WAL kept",
        "WAL on disk, and WAL that replication slots hold. If a slot holds ever more, its consumer is gone: bring it"
        " back, or drop the slot before the disk is full.",
        [
            query(f"max by (stack, target) (pg_wal_size_bytes{TARGET})", f"{EACH} WAL"),
            query(f"stack_target:pg_replication_slot_retained_bytes:max{TARGET}", f"{EACH} held by slots", "SLOTS"),
            limits("pg_replication_slot_retained_bytes"),
        ],
        unit="bytes",
        alerts=["ReplicationSlotHoldsWal"],
    ),
    graph(
        "Transaction id age",
        "Age of the oldest unfrozen transaction id or multixact. The server stops at two billion: above the limit, end"
        " what holds vacuum back (old transactions, slots, prepared transactions), then vacuum.",
        [
            query(f"stack_target:pg_transaction_id_age:max{TARGET}", EACH),
            limits("pg_transaction_id_age"),
        ],
        unit="short",
        alerts=["TransactionIdAgeHigh"],
    ),
)

BOARD = board(
    "postgres",
    "PostgreSQL",
    "Sessions and who blocks whom, statements, vacuum and analyze, sizes and growth, replication, transaction ids.",
    [*SESSIONS, *WAITS, *WORK, *UPKEEP, *STORAGE],
    [targets_of("pg_up"), DATABASES],
)
