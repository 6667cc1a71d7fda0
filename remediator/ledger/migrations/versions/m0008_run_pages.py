"""The indexes by which pages of runs are filtered."""

from alembic import op

revision = "m0008"
down_revision = "m0007"


def upgrade() -> None:
    """Create the indexes."""
    op.create_index("run_stack", "run", ["stack", "id"])
    op.create_index("run_remediation", "run", ["remediation", "id"])
