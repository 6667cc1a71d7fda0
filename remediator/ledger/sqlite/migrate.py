"""Upgrades a ledger's tables to this release, completely or not at all."""

import shlex

import structlog
from alembic import command
from sqlalchemy import Connection, inspect

from remediator.ledger.revisions import alembic_config, current_revision, known_revisions
from remediator.model.errors import LedgerUnavailable

log = structlog.get_logger(__name__)
OUTDATED_REVISIONS = frozenset({"0001", "0002", "0003", "0004", "0005"})  # before 0.1.0, whose first revision is m0001


def migrate(connection: Connection) -> None:
    """Create the tables, or upgrade them.

    Raises:
        LedgerUnavailable: the ledger was made before 0.1.0, or written by a newer release.
    """
    before = current_revision(connection)
    if before in OUTDATED_REVISIONS or (before is None and inspect(connection).get_table_names()):
        raise LedgerUnavailable(_outdated_message(connection))
    if before is not None and before not in known_revisions():
        raise LedgerUnavailable(f"it was written by a newer release (revision {before}); run that release")
    command.upgrade(alembic_config(connection), "head")
    after = current_revision(connection)
    if before is None:
        log.info("ledger created", file=connection.engine.url.database)
    elif after != before:
        log.info("ledger upgraded to this release", before=before, now=after)


def _outdated_message(connection: Connection) -> str:
    file = shlex.quote(str(connection.engine.url.database))
    return (
        "it was made before 0.1.0, and no release can upgrade it; "
        f"export its audit trail (sqlite3 {file} '.dump audit' >audit.sql), "
        "then move it away with its -wal and -shm to begin a new one"
    )
