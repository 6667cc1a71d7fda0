"""Adapts the connection URLs of applications to database drivers."""

import logging
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

# Prisma's own parameters (https://www.prisma.io/docs/orm/overview/databases/postgresql): PostgreSQL refuses them.
PRISMA_PARAMETERS = frozenset(
    {
        "connection_limit",
        "pgbouncer",
        "pool_timeout",
        "schema",
        "socket_timeout",
        "sslaccept",
        "sslidentity",
        "sslpassword",
        "statement_cache_size",
    }
)
log = logging.getLogger(__name__)


def without_prisma_parameters(dsn: str) -> str:
    """Return `dsn` without the parameters that only Prisma understands; log their names."""
    parts = urlsplit(dsn)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    dropped = sorted({key for key, _ in pairs} & PRISMA_PARAMETERS)
    if not dropped:
        return dsn
    log.info("DATABASE_URL: ignored Prisma's own parameters: %s", ", ".join(dropped))
    return urlunsplit(parts._replace(query=urlencode([pair for pair in pairs if pair[0] not in PRISMA_PARAMETERS])))
