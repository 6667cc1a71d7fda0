"""Alembic runs this for every command; the connection, and its transaction, are the ledger's."""

from alembic import context

from remediator.ledger.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
