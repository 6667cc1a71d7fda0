"""All parts of the statement that a scrape sends. What can wait for a lock on a table has no place here."""

from exporter.postgres import (
    activity,
    databases,
    locks,
    maintenance,
    replication,
    settings,
    statements,
    tables,
    wal,
)
from exporter.postgres.part import Part

FAST: tuple[Part, ...] = (
    *settings.PARTS,
    *activity.PARTS,
    *locks.PARTS,
    *databases.PARTS,
    *maintenance.PARTS,
    *replication.PARTS,
    *wal.PARTS,
    *statements.PARTS,
    *tables.PARTS,
)
