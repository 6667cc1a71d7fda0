"""What a person says about one run."""

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.context import World
from remediator.ledger import audit, runs
from remediator.ledger.runs import Run
from remediator.ledger.schema import run as table
from remediator.model.errors import NoSuchRun, WrongState
from remediator.model.run_state import RunState
from remediator.runs.transitions import advance


async def approve(world: World, identifier: int, operator: str) -> Run:
    """Allow exactly the items that the run lists; the engine asks every bound once more before it acts.

    Raises:
        NoSuchRun: there is none with this number.
        WrongState: it does not wait for an approval, or not any more.
    """
    async with world.ledger.write() as connection:
        run = await _waiting(connection, world, identifier)
        await connection.execute(update(table).where(table.c.id == run.id).values(approved_by=operator))
        detail = {"plan_hash": run.plan_hash}
        await audit.append(connection, world.clock.now(), "approved", run=run.id, actor=operator, detail=detail)
        return await runs.get(connection, run.id)


async def reject(world: World, identifier: int, operator: str) -> Run:
    """Say no; the run ends.

    Raises:
        NoSuchRun: there is none with this number.
        WrongState: it does not wait for an approval, or not any more.
    """
    async with world.ledger.write() as connection:
        run = await _waiting(connection, world, identifier)
        return await advance(connection, world, run, RunState.REJECTED, reason=f"by {operator}", actor=operator)


async def _waiting(connection: AsyncConnection, world: World, identifier: int) -> Run:
    run = await runs.find(connection, identifier)
    if run is None:
        raise NoSuchRun(f"there is no run {identifier}")
    if run.state is not RunState.AWAITING_APPROVAL:
        raise WrongState(f"run {identifier} is {run.state}, not {RunState.AWAITING_APPROVAL}")
    if run.approved_by is not None:
        raise WrongState(f"run {identifier} was approved by {run.approved_by} already")
    if run.expires_at is not None and run.expires_at <= world.clock.now():
        raise WrongState(f"run {identifier} waited too long; the next delivery of its alert makes a new plan")
    return run
