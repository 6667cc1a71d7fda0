"""The settings by which a run was judged."""

import sqlalchemy as sa
from alembic import op

revision = "m0003"
down_revision = "m0002"


def upgrade() -> None:
    """Add the column; older runs have no settings."""
    op.add_column("run", sa.Column("settings", sa.JSON(), nullable=True))
