"""Checks before the start: the server, the revision of the tables, and the rights of the role."""

from collections.abc import Sequence

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.revisions import known_revisions
from remediator.model.errors import LedgerUnavailable

OLDEST_SERVER = 140_000
MIGRATE = "run `runbookctl ledger migrate` with the URL of its owner"
_SERVER = text(
    "SELECT current_setting('server_version_num')::int AS version, pg_is_in_recovery() AS is_standby,"
    " current_setting('fsync') AS fsync, to_regclass('schema_revision') IS NOT NULL AS has_tables"
)
_RIGHTS = text(
    "SELECT current_user AS role, string_agg(privilege, ', ') AS excessive"
    " FROM unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE']) AS privilege"
    " WHERE has_table_privilege('audit', privilege) GROUP BY 1"
)
_REVISIONS = text("SELECT revision, release FROM schema_revision ORDER BY position")
log = structlog.get_logger(__name__)


async def check_start(connection: AsyncConnection) -> None:
    """Refuse a server, tables or a role with which the ledger would not be what it promises.

    Raises:
        LedgerUnavailable: with the remedy.
    """
    server = (await connection.execute(_SERVER)).one()
    if server.version < OLDEST_SERVER:
        raise LedgerUnavailable(f"PostgreSQL {server.version // 10_000} is too old; the ledger needs 14 or later")
    if server.is_standby:
        raise LedgerUnavailable("the server is a standby; set the address of the primary")
    if server.fsync != "on":
        log.warning("the ledger's server loses commits when its machine fails; set fsync = on", fsync=server.fsync)
    if not server.has_tables:
        raise LedgerUnavailable(f"the database has no ledger; {MIGRATE}")
    rows = (await connection.execute(_REVISIONS)).all()
    _require_revision([row.revision for row in rows], [row.release for row in rows])
    await _require_few_rights(connection)


def _require_revision(revisions: Sequence[str], releases: Sequence[str]) -> None:
    """Accept tables of this release and of the next one, whose migrations keep what this one needs."""
    own = known_revisions()[-1]
    if own not in revisions:
        newest = revisions[-1] if revisions else "none"
        raise LedgerUnavailable(f"its tables are older than this release (revision {newest}, not {own}); {MIGRATE}")
    place = revisions.index(own)
    newer_releases = sorted(set(releases[place + 1 :]) - {releases[place]})
    if len(newer_releases) > 1:
        raise LedgerUnavailable(
            f"it was migrated to release {releases[-1]}, {len(newer_releases)} releases newer than this one"
            f" ({releases[place]}); run {newer_releases[-2]} or later"
        )
    if own != revisions[-1]:
        log.warning("the ledger's tables are newer than this release; upgrade it", tables=revisions[-1], own=own)


async def _require_few_rights(connection: AsyncConnection) -> None:
    row = (await connection.execute(_RIGHTS)).one_or_none()
    if row is not None:
        raise LedgerUnavailable(
            f"the role {row.role} may change the audit trail ({row.excessive}); connect as runbookd_writer of"
            " deploy/postgres/ledger.sql"
        )
