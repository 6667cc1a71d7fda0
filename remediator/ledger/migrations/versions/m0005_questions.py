"""The questions of operators, the origin of a run, and the ends of effects that the engine undoes."""

import sqlalchemy as sa
from alembic import op

revision = "m0005"
down_revision = "m0004"

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Instant = sa.BigInteger()


def upgrade() -> None:
    """Create the tables and columns; an alert has started every existing run."""
    op.add_column("run", sa.Column("trigger", sa.String(), nullable=False, server_default="alert"))
    op.add_column("run", sa.Column("requested_by", sa.String(), nullable=True))
    op.add_column("run", sa.Column("parameters", sa.JSON(), nullable=True))
    op.add_column("run", sa.Column("undoes", Id, nullable=True))
    op.create_index("run_undoes", "run", ["undoes"])
    op.create_table(
        "question",
        sa.Column("id", Id, primary_key=True),
        sa.Column("stack", sa.String(), nullable=False),
        sa.Column("remediation", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("undoes", Id),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("operator", sa.String(), nullable=False),
        sa.Column("asked_at", Instant, nullable=False),
        sa.Column("expires_at", Instant, nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("plan_hash", sa.String(), nullable=False),
        sa.Column("used_at", Instant),
        sa.Column("run", Id),
    )
    op.create_index("question_asked", "question", ["asked_at"])
    op.create_table(
        "planned_undo",
        sa.Column("id", Id, primary_key=True),
        sa.Column("run", Id, sa.ForeignKey("run.id"), nullable=False, unique=True),
        sa.Column("due_at", Instant),
        sa.Column("closed_at", Instant),
        sa.Column("outcome", sa.String()),
    )
    op.create_index("planned_undo_open", "planned_undo", ["closed_at"])
