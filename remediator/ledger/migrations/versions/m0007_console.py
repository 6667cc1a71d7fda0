"""The console: its sessions, its failed sign-ins, and the key of its forms."""

import sqlalchemy as sa
from alembic import op

revision = "m0007"
down_revision = "m0006"

Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")
Instant = sa.BigInteger()


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "console_session",
        sa.Column("id", Id, primary_key=True),
        sa.Column("token_hash", sa.String(), nullable=False, unique=True),
        sa.Column("operator", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("password_stamp", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("seen_at", Instant, nullable=False),
        sa.Column("ended_at", Instant),
        sa.Column("end_reason", sa.String()),
    )
    op.create_index("console_session_address", "console_session", ["address", "created_at"])
    op.create_index("console_session_ended", "console_session", ["ended_at"])
    op.create_table(
        "sign_in_failure",
        sa.Column("address", sa.String(), primary_key=True),
        sa.Column("name_hash", sa.String(), primary_key=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_at", Instant, nullable=False),
    )
    op.create_index("sign_in_failure_last", "sign_in_failure", ["last_at"])
    op.create_table(
        "console_key",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("value", sa.String(), nullable=False),
    )
