"""The deploys that were reported."""

import sqlalchemy as sa
from alembic import op

revision = "m0004"
down_revision = "m0003"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "deploy",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("stack", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("begun_at", sa.BigInteger(), nullable=False),
        sa.Column("begun_by", sa.String(), nullable=False),
        sa.Column("done_at", sa.BigInteger()),
    )
    op.create_index("deploy_stack", "deploy", ["stack", "id"])
