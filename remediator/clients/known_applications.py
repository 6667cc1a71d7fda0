"""The application names of tools that hold transactions open by design, or that make backups.

Each entry is the beginning of a name in `pg_stat_activity`, in any case. It also matches after a slash, because Ruby's
driver reports the path. docs/reference/remediations.md lists the entries, and the tools that set
no name. A server's own workers and replication connections need no entry: only client backends are ever ended.
"""

# pg_dump's leader idles in its transaction while its workers copy; `pg_dump` also stands for pg_dumpall.
BACKUPS = (
    "pg_dump",
    "pg_restore",
    "pg_basebackup",
    "pg_receivewal",
    "pg_recvlogical",
    "pgbackrest",
    "barman",
    "wal-g",
)
MAINTENANCE = ("pg_repack", "pg_squeeze", "vacuumdb", "reindexdb", "clusterdb", "pg_amcheck", "pg_rewind")
COPIES = ("pgcopydb", "pgloader", "pg_createsubscriber")
# Flyway holds its lock in a transaction of its own while a migration runs in another session.
SCHEMA_CHANGES = ("pgroll", "reshape", "pg-osc", "pg-online-schema-change", "pg_online_schema_change", "flyway")
# Names that migrations have by themselves or are given (PGAPPNAME=migrate); docs/reference/bounds.md lists them.
MIGRATIONS = (*SCHEMA_CHANGES, "liquibase", "sqitch", "dbmate", "alembic", "atlas", "migrat")
CONSUMERS = ("debezium", "airbyte", "peerdb", "pglogical", "wal2json", "powersync")
# Their remote transactions stay open for as long as the local one on the other server.
OTHER_SERVERS = ("citus_", "postgres_fdw")
# The remediator, the exporter and our tools.
OWN = ("runbook",)

PROTECTED = (*BACKUPS, *MAINTENANCE, *COPIES, *SCHEMA_CHANGES, *CONSUMERS, *OTHER_SERVERS, *OWN)
