"""The revisions of the ledger's tables, and the releases that introduced them."""

from collections.abc import Sequence

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

# The first revision of each release; those after it belong to it, too. Add a line when a release is made.
FIRST_OF_RELEASE = {"0.1.0": "m0001", "0.2.0": "m0002"}


def alembic_config(connection: Connection | None = None) -> Config:
    """Return the configuration of Alembic, whose script runs on `connection`."""
    config = Config()
    config.set_main_option("script_location", "remediator.ledger:migrations")
    if connection is not None:
        config.attributes["connection"] = connection
    return config


def current_revision(connection: Connection) -> str | None:
    """Return the revision of the ledger's tables, or None if there are none."""
    return MigrationContext.configure(connection).get_current_revision()


def known_revisions() -> Sequence[str]:
    """Return the revisions that this release knows, oldest first."""
    scripts = ScriptDirectory.from_config(alembic_config()).walk_revisions()
    return [script.revision for script in scripts][::-1]


def release_of(revision: str) -> str:
    """Return the release that introduced a revision."""
    return [release for release, first in FIRST_OF_RELEASE.items() if first <= revision][-1]
