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
FIRST = "0001"  # what ledgers hold that were written before they said so


def migrate(connection: Connection) -> None:
    """Create the tables, or upgrade them.

    Raises:
        LedgerUnavailable: the ledger was written by a newer release.
    """
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it explains itself at every start
    config = _config(connection)
    current = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise LedgerUnavailable(f"it was written by a newer release (revision {current}); run that one")
    if current is None and inspect(connection).has_table("run"):
        command.stamp(config, FIRST)
    command.upgrade(config, "head")
    reached = MigrationContext.configure(connection).get_current_revision()
    if reached != current:
        log.info("ledger brought to this release", before=current or "new", now=reached)


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", "remediator.ledger:migrations")
    config.attributes["connection"] = connection
    return config
