"""Upgrades a ledger's tables to this release, completely or not at all."""

import logging
import shlex

import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from remediator.model.errors import LedgerUnavailable

log = structlog.get_logger(__name__)
OUTDATED_REVISIONS = frozenset({"0001", "0002", "0003", "0004", "0005"})  # before 0.1.0, whose first revision is m0001


def migrate(connection: Connection) -> None:
    """Create the tables, or upgrade them.

    Raises:
        LedgerUnavailable: the ledger was made before 0.1.0, or written by a newer release.
    """
    logging.getLogger("alembic").setLevel(logging.WARNING)  # at info it logs several lines per start
    config = _config(connection)
    current_revision = MigrationContext.configure(connection).get_current_revision()
    if current_revision in OUTDATED_REVISIONS or (current_revision is None and inspect(connection).get_table_names()):
        raise LedgerUnavailable(_outdated_message(connection))
    known_revisions = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current_revision is not None and current_revision not in known_revisions:
        raise LedgerUnavailable(f"it was written by a newer release (revision {current_revision}); run that release")
    command.upgrade(config, "head")
    new_revision = MigrationContext.configure(connection).get_current_revision()
    if new_revision != current_revision:
        log.info("ledger upgraded to this release", before=current_revision or "new", now=new_revision)


def _outdated_message(connection: Connection) -> str:
    file = shlex.quote(str(connection.engine.url.database))
    return (
        "it was made before 0.1.0, and no release can upgrade it; "
        f"export its audit trail (sqlite3 {file} '.dump audit' >audit.sql), "
        "then move it away with its -wal and -shm to begin a new one"
    )


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", "remediator.ledger:migrations")
    config.attributes["connection"] = connection
    return config
