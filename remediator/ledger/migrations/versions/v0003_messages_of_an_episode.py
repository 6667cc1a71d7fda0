"""A message says which episode it is about."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Instant = sa.BigInteger()


def upgrade() -> None:
    """The table is made anew, because SQLite adds no column that refers to another table and is never empty."""
    old = sa.table("outbox", *(sa.column(name) for name in _COLUMNS))
    kept = [dict(row._mapping) for row in op.get_bind().execute(sa.select(old).order_by(old.c.id))]
    op.drop_table("outbox")
    made = _create()
    if kept:
        op.bulk_insert(made, [{**row, "episode": int(row["key"].partition("/")[0])} for row in kept])


_COLUMNS = ("id", "key", "contact", "created_at", "title", "body", "attempts", "next_attempt_at", "sent_at")


def _create() -> sa.Table:
    made = op.create_table(
        "outbox",
        sa.Column("id", Id, nullable=False),
        sa.Column("episode", Id, sa.ForeignKey("episode.id"), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("contact", sa.String(), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", Instant, nullable=False),
        sa.Column("sent_at", Instant, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key", "contact"),
    )
    op.create_index("outbox_due", "outbox", ["sent_at", "next_attempt_at"])
    op.create_index("outbox_episode", "outbox", ["episode"])
    return made
