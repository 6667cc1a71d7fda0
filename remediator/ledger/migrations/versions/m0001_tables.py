"""The tables of release 0.1.0."""

import sqlalchemy as sa
from alembic import op

revision = "m0001"
down_revision = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Instant = sa.BigInteger()
ACTIVE = sa.text("state IN ('admitted', 'executing', 'verifying')")
OPEN = sa.text(
    "state IN ('planned', 'prechecked', 'deferred', 'awaiting_approval', 'admitted', 'executing', 'verifying')"
)
NOT_PROCESSED = sa.text("processed_at IS NULL")
NOT_ENDED = sa.text("ended_at IS NULL")


def upgrade() -> None:
    """Create all tables."""
    _delivery()
    _episode()
    _run()
    _item()
    _breaker()
    _pause()
    _storm()
    _outbox()
    _audit()
    _tally()
    _resolution()


def _delivery() -> None:
    op.create_table(
        "delivery",
        sa.Column("id", Id, nullable=False),
        sa.Column("received_at", Instant, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("processed_at", Instant, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("delivery_open", "delivery", ["id"], sqlite_where=NOT_PROCESSED, postgresql_where=NOT_PROCESSED)
    op.create_index("delivery_received", "delivery", ["received_at"])


def _episode() -> None:
    op.create_table(
        "episode",
        sa.Column("id", Id, nullable=False),
        sa.Column("stack", sa.String(), nullable=False),
        sa.Column("remediation", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("opened_at", Instant, nullable=False),
        sa.Column("firing_since", Instant, nullable=False),
        sa.Column("delivered_at", Instant, nullable=False),
        sa.Column("confirmed_at", Instant, nullable=False),
        sa.Column("ended_at", Instant, nullable=True),
        sa.Column("end_reason", sa.String(), nullable=True),
        sa.Column("alerts", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "episode_one_open",
        "episode",
        ["stack", "remediation", "target"],
        unique=True,
        sqlite_where=NOT_ENDED,
        postgresql_where=NOT_ENDED,
    )
    op.create_index("episode_ended", "episode", ["ended_at"])


def _run() -> None:
    op.create_table(
        "run",
        sa.Column("id", Id, nullable=False),
        sa.Column("episode", Id, nullable=False),
        sa.Column("stack", sa.String(), nullable=False),
        sa.Column("remediation", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("finished_at", Instant, nullable=True),
        sa.Column("admitted_at", Instant, nullable=True),
        sa.Column("not_before", Instant, nullable=True),
        sa.Column("deferred_at", Instant, nullable=True),
        sa.Column("expires_at", Instant, nullable=True),
        sa.Column("approved_by", sa.String(), nullable=True),
        sa.Column("found", sa.Integer(), nullable=True),
        sa.Column("population", sa.Integer(), nullable=True),
        sa.Column("plan_hash", sa.String(), nullable=True),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["episode"], ["episode.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "run_one_active",
        "run",
        ["stack", "remediation", "target"],
        unique=True,
        sqlite_where=ACTIVE,
        postgresql_where=ACTIVE,
    )
    op.create_index("run_one_open", "run", ["episode"], unique=True, sqlite_where=OPEN, postgresql_where=OPEN)
    op.create_index("run_state", "run", ["state"])
    op.create_index("run_episode", "run", ["episode"])
    op.create_index("run_admitted", "run", ["admitted_at"])
    op.create_index("run_finished", "run", ["finished_at"])
    op.create_index("run_target", "run", ["stack", "remediation", "target", "finished_at"])


def _item() -> None:
    op.create_table(
        "item",
        sa.Column("id", Id, nullable=False),
        sa.Column("run", Id, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("identity", sa.JSON(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("intended_at", Instant, nullable=True),
        sa.Column("settled_at", Instant, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("run", "position"),
        sa.ForeignKeyConstraint(["run"], ["run.id"]),
    )


def _breaker() -> None:
    op.create_table(
        "breaker",
        sa.Column("id", Id, nullable=False),
        sa.Column("stack", sa.String(), nullable=False),
        sa.Column("remediation", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("opened_at", Instant, nullable=False),
        sa.Column("run", Id, nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("closed_at", Instant, nullable=True),
        sa.Column("closed_by", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["run"], ["run.id"]),
        sa.PrimaryKeyConstraint("id"),
    )


def _pause() -> None:
    op.create_table(
        "pause",
        sa.Column("id", Id, nullable=False),
        sa.Column("stack", sa.String(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("begun_at", Instant, nullable=False),
        sa.Column("begun_by", sa.String(), nullable=False),
        sa.Column("until", Instant, nullable=True),
        sa.Column("ended_at", Instant, nullable=True),
        sa.Column("ended_by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )


def _storm() -> None:
    op.create_table(
        "storm",
        sa.Column("id", Id, nullable=False),
        sa.Column("seen_at", Instant, nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", Id, nullable=False),
        sa.Column("episode", Id, nullable=False),
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
        sa.ForeignKeyConstraint(["episode"], ["episode.id"]),
    )
    op.create_index("outbox_due", "outbox", ["sent_at", "next_attempt_at"])
    op.create_index("outbox_episode", "outbox", ["episode"])


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", Id, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("run", Id, nullable=True),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("audit_run", "audit", ["run"])
    op.create_index("audit_hash", "audit", ["hash"])


def _tally() -> None:
    op.create_table(
        "tally",
        sa.Column("id", Id, nullable=False),
        sa.Column("stack", sa.String(), nullable=False),
        sa.Column("remediation", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("runs", sa.Integer(), nullable=False),
        sa.Column("acted", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("last_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("stack", "remediation", "target", "state", "reason"),
    )


def _resolution() -> None:
    op.create_table(
        "resolution",
        sa.Column("alert", sa.String(), nullable=False),
        sa.Column("ended_at", Instant, nullable=False),
        sa.Column("resolved_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("alert"),
    )
