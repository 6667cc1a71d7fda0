"""The index of the answers that operators gave to requests for an approval, and of the cuts of retention."""

import sqlalchemy as sa
from alembic import op

revision = "m0010"
down_revision = "m0009"


def upgrade() -> None:
    """Create the index, of a few rows of the trail."""
    answers = sa.text("event IN ('approved', 'expired', 'rejected', 'trail_cut')")
    op.create_index("audit_answers", "audit", ["id"], sqlite_where=answers, postgresql_where=answers)
