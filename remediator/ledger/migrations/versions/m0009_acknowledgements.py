"""The acknowledgements of episodes, and the counts of their metric."""

import sqlalchemy as sa
from alembic import op

revision = "m0009"
down_revision = "m0008"

Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")
Instant = sa.BigInteger()
IS_OPEN = sa.column("ended_at").is_(None)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "acknowledgement",
        sa.Column("id", Id, primary_key=True),
        sa.Column("episode", Id, sa.ForeignKey("episode.id"), nullable=False),
        sa.Column("operator", sa.String(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("since", Instant, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("until", Instant),
        sa.Column("priority", sa.String(), nullable=False),
        sa.Column("alerts", sa.JSON(), nullable=False),
        sa.Column("ended_at", Instant),
        sa.Column("end_reason", sa.String()),
    )
    op.create_index("acknowledgement_episode", "acknowledgement", ["episode"])
    op.create_index(
        "acknowledgement_one_open",
        "acknowledgement",
        ["episode"],
        unique=True,
        sqlite_where=IS_OPEN,
        postgresql_where=IS_OPEN,
    )
    op.create_table(
        "acknowledge_tally",
        sa.Column("id", Id, primary_key=True),
        sa.Column("stack", sa.String(), nullable=False),
        sa.Column("priority", sa.String(), nullable=False),
        sa.Column("bucket", sa.Integer(), nullable=False),
        sa.Column("acknowledgements", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.UniqueConstraint("stack", "priority", "bucket"),
    )
