"""Refuses a ledger on a server that is a target: an outage or a remediation of it would hit the record as well."""

import asyncio
from collections.abc import Iterator, Sequence

import asyncpg
import structlog

from remediator.ledger.protocol import SYSTEM_IDENTIFIER, Ledger, ServerIdentity
from runbookd.addresses import AddressError
from runbookd.addresses.postgres import read_postgres_address
from runbookd.inventory import Inventory, Secret, SecretError

SECONDS = 3.0  # for all targets together; one that does not answer does not delay the start
REMEDY = "move the ledger to another server, or set ledger: {same_server: true}"
_FAILURES = (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError, SecretError)
log = structlog.get_logger(__name__)


async def placement_problems(ledger: Ledger, inventory: Inventory) -> Sequence[str]:
    """Return the targets on the ledger's server, with the remedy; none if the inventory allows it."""
    if inventory.ledger.same_server or (own := await ledger.server_identity()) is None:
        return []
    secrets = dict(_secrets(inventory))
    identities = await asyncio.gather(*(_identity(path, secret) for path, secret in secrets.items()))
    return [
        f"{path} is on the ledger's server, and an outage would take both; {REMEDY}"
        for path, identity in zip(secrets, identities, strict=True)
        if identity is not None and own.is_same(identity)
    ]


def _secrets(inventory: Inventory) -> Iterator[tuple[str, Secret]]:
    """Yield the address of each PostgreSQL target: that of the remediator, else that of the exporter."""
    for stack_name, stack in inventory.stacks.items():
        for name, target in stack.postgres.items():
            admin = target.admin_dsn_secret()
            yield f"stacks.{stack_name}.postgres.{name}", admin if admin.configured else target.dsn_secret()


async def _identity(path: str, secret: Secret) -> ServerIdentity | None:
    """Return what identifies a target's server, as far as it answers; None if even its address is unusable."""
    try:
        address = read_postgres_address(secret.read())
    except (AddressError, SecretError):  # the check of the inventory reports it
        return None
    try:
        async with asyncio.timeout(SECONDS):
            connection = await asyncpg.connect(address.driver_url, statement_cache_size=0)
            try:
                async with connection.transaction():  # behind a pooler, a statement needs one
                    return ServerIdentity(address.hosts, await connection.fetchval(SYSTEM_IDENTIFIER))
            finally:
                connection.terminate()
    except _FAILURES as error:
        log.info("whether a target shares the ledger's server is not known", target=path, cause=type(error).__name__)
        return ServerIdentity(address.hosts)
