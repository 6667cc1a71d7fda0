"""The script that Alembic runs, on the ledger's connection and in its transaction."""

from alembic import context

from remediator.ledger.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
