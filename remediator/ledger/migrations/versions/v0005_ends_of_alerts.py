"""Of a resolved alert its end is kept, no longer its start."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """What is known of the last minutes stays: an alert had at least begun when it ended."""
    op.alter_column("resolution", "started_at", new_column_name="ended_at")
