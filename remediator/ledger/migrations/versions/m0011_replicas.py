"""The tables of several replicas, which only PostgreSQL has: `remediator/ledger/postgresql/objects.sql` creates them.

This revision lets a release that needs them refuse a ledger without them.
"""

revision = "m0011"
down_revision = "m0010"


def upgrade() -> None:
    """Change no table that all ledgers have."""
