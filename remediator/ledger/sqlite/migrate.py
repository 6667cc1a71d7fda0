"""Brings a ledger's tables to this release's, in the transaction it is given: all of it, or nothing."""

import logging

import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from remediator.model.errors import LedgerUnavailable

log = structlog.get_logger(__name__)
FIRST_REVISION = "0001"  # what ledgers hold that were written before they said so


def migrate(connection: Connection) -> None:
    """Create the tables, or upgrade them.

    Raises:
        LedgerUnavailable: the ledger was written by a newer release.
    """
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it explains itself at every start
    config = _config(connection)
    current_revision = MigrationContext.configure(connection).get_current_revision()
    known_revisions = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current_revision is not None and current_revision not in known_revisions:
        raise LedgerUnavailable(f"it was written by a newer release (revision {current_revision}); run that one")
    if current_revision is None and inspect(connection).has_table("run"):
        command.stamp(config, FIRST_REVISION)
    command.upgrade(config, "head")
    new_revision = MigrationContext.configure(connection).get_current_revision()
    if new_revision != current_revision:
        log.info("ledger brought to this release", before=current_revision or "new", now=new_revision)


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", "remediator.ledger:migrations")
    config.attributes["connection"] = connection
    return config
