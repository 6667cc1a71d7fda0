"""The duties: their first sight, and when they were done; and messages that are about no episode."""

import sqlalchemy as sa
from alembic import op

revision = "m0006"
down_revision = "m0005"

Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")
Instant = sa.BigInteger()


def upgrade() -> None:
    """Create the tables, and let a message be about no episode."""
    op.create_table(
        "duty",
        sa.Column("stack", sa.String(), primary_key=True),
        sa.Column("duty", sa.String(), primary_key=True),
        sa.Column("first_seen_at", Instant, nullable=False),
    )
    op.create_table(
        "duty_done",
        sa.Column("id", Id, primary_key=True),
        sa.Column("stack", sa.String(), nullable=False),
        sa.Column("duty", sa.String(), nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("recorded_at", Instant, nullable=False),
        sa.Column("recorded_by", sa.String(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
    )
    op.create_index("duty_done_at", "duty_done", ["stack", "duty", "at"])
    with op.batch_alter_table("outbox") as outbox:
        outbox.alter_column("episode", existing_type=Id, nullable=True)
