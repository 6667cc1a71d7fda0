"""Counts that outlive the runs they count, the alerts that were resolved lately, and two indexes for retention."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Instant = sa.BigInteger()


def upgrade() -> None:
    _tally()
    _resolution()
    op.create_index("audit_hash", "audit", ["hash"])
    op.create_index("delivery_received", "delivery", ["received_at"])


def _tally() -> None:
    op.create_table(
        "tally",
        sa.Column("id", Id, primary_key=True),
        sa.Column("stack", sa.String(), nullable=False),
        sa.Column("remediation", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("runs", sa.Integer(), nullable=False),
        sa.Column("acted", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("last_at", Instant, nullable=False),
        sa.UniqueConstraint("stack", "remediation", "target", "state", "reason"),
    )
    op.execute(
        "INSERT INTO tally (stack, remediation, target, state, reason, runs, acted, seconds, last_at) "
        "SELECT stack, remediation, target, state, reason, count(*), count(admitted_at), "
        "coalesce(sum(finished_at - admitted_at), 0) / 1000000.0, max(finished_at) "
        "FROM run WHERE finished_at IS NOT NULL GROUP BY stack, remediation, target, state, reason"
    )


def _resolution() -> None:
    op.create_table(
        "resolution",
        sa.Column("alert", sa.String(), primary_key=True),
        sa.Column("started_at", Instant, nullable=False),
        sa.Column("resolved_at", Instant, nullable=False),
    )
