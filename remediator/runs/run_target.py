"""The target of a run as its remediation receives it: with the operator's values, and with what the run undoes."""

from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger import effects
from remediator.ledger.runs import Run
from remediator.model.errors import InvalidParameter
from remediator.model.parameters import parse_parameters
from remediator.model.remediation import Item, ItemState
from remediator.model.target import ResolvedTarget, UnresolvedTarget


def with_origin(target: ResolvedTarget, run: Run) -> ResolvedTarget | UnresolvedTarget:
    """Add what an operator gave the run; another release may no longer accept it."""
    try:
        given = run.parameters or {}
        values = parse_parameters(run.remediation, target.declaration.parameters, given) if given else {}
    except InvalidParameter as error:
        return UnresolvedTarget(str(error))
    return replace(target, parameters=values, trigger=run.trigger)


async def with_undone_items(
    connection: AsyncConnection, target: ResolvedTarget | UnresolvedTarget, run: Run
) -> ResolvedTarget | UnresolvedTarget:
    """Add the items that the run restores, if it undoes another run."""
    if isinstance(target, UnresolvedTarget) or run.undoes is None:
        return target
    return replace(target, undoes=await applied_items(connection, run.undoes))


async def applied_items(connection: AsyncConnection, identifier: int) -> tuple[Item, ...]:
    """Return the items that the run with this number has applied."""
    items = await effects.items(connection, identifier)
    return tuple(each.item for each in items if each.state is ItemState.APPLIED)
