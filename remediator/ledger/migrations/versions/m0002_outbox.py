"""The severity of a message, its refusal by the service, and the summary that reports it."""

import sqlalchemy as sa
from alembic import op

revision = "m0002"
down_revision = "m0001"

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Instant = sa.BigInteger()


def upgrade() -> None:
    """Add the columns, which are empty in existing rows."""
    op.add_column("outbox", sa.Column("severity", sa.String(), nullable=True))
    op.add_column("outbox", sa.Column("refused_at", Instant, nullable=True))
    op.add_column("outbox", sa.Column("summary", Id, nullable=True))
    op.create_index("outbox_contact", "outbox", ["contact", "sent_at"])
