"""Refuses a filter by a name that no run can have, so that a misspelt one does not look like a quiet night."""

from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.context import Context
from remediator.ledger.run_list import has_runs
from remediator.model.errors import NoSuchTarget
from remediator.model.known_stacks import MAX_SHOWN, unknown_stack
from remediator.model.target import sanitize
from runbookd.inventory.suggest import suggest


async def check_run_filter(
    connection: AsyncConnection, context: Context, *, stack: str | None = None, remediation: str | None = None
) -> None:
    """Refuse a name that is neither in the inventory nor in the ledger; names of earlier inventories have their runs.

    Raises:
        NoSuchTarget: there is no such stack or remediation.
    """
    stacks, remediations = context.inventory.stacks, context.remediations
    if stack is not None and stack not in stacks and not await _has_runs(connection, stack=stack):
        raise NoSuchTarget(unknown_stack(stack, stacks))
    if remediation is None or remediation in remediations or await _has_runs(connection, remediation=remediation):
        return
    name = remediation[:MAX_SHOWN]
    raise NoSuchTarget(f"there is no remediation {name!r}{suggest(name, remediations)}")


async def _has_runs(connection: AsyncConnection, **filters: str) -> bool:
    """Return whether the ledger has such runs; it stores no name that some databases refuse to look for."""
    return all(sanitize(name) == name for name in filters.values()) and await has_runs(connection, **filters)
