"""An operator's approval or rejection of a run."""

from typing import Literal

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.context import Context
from remediator.ledger import audit, runs
from remediator.ledger.answers import ANSWERED
from remediator.ledger.runs import Run
from remediator.ledger.schema import run as table
from remediator.model.errors import NoSuchRun, WrongState
from remediator.model.run_state import CANCELLABLE, RunState
from remediator.model.target import sanitize
from remediator.runs.transitions import transition
from runbookd.inventory import own_approvals

MAX_REASON = 500  # characters
Channel = Literal["api", "console"]
"""How an operator answered: by runbookctl and other clients of the API, or on a page."""


async def approve(
    context: Context, identifier: int, operator: str, *, channel: Channel = "api", plan_hash: str | None = None
) -> Run:
    """Approve exactly the items that the run lists; every bound is then evaluated again.

    `plan_hash` is that of the plan that the operator was shown.

    Raises:
        NoSuchRun: no run has this number.
        WrongState: the run is not, or no longer, awaiting an approval, or not that of this operator.
    """
    async with context.ledger.write() as connection:
        context.require_operator(operator)
        run = await _require_awaiting_approval(connection, context, identifier)
        if run.requested_by == operator and not own_approvals(context.inventory, run.stack):
            raise WrongState(f"{operator} has started run {identifier}; another operator has to approve it")
        if plan_hash not in (None, run.plan_hash):
            raise WrongState(f"run {identifier} has another plan than the one you were shown; open it again")
        await connection.execute(update(table).where(table.c.id == run.id).values(approved_by=operator))
        detail = {"plan_hash": run.plan_hash, "channel": channel}
        await audit.append(connection, context.clock.now(), "approved", run=run.id, actor=operator, detail=detail)
        return await runs.get(connection, run.id)


async def reject(
    context: Context, identifier: int, operator: str, *, reason: str = "", channel: Channel = "api"
) -> Run:
    """Reject the run, which ends it.

    Raises:
        NoSuchRun: no run has this number.
        WrongState: the run is not, or no longer, awaiting an approval.
    """
    async with context.ledger.write() as connection:
        context.require_operator(operator)
        run = await _require_awaiting_approval(connection, context, identifier)
        answer = {"plan_hash": run.plan_hash, "channel": channel, "reason": sanitize(reason.strip(), MAX_REASON)}
        await audit.append(connection, context.clock.now(), ANSWERED, run=run.id, actor=operator, detail=answer)
        return await transition(connection, context, run, RunState.REJECTED, reason=f"by {operator}", actor=operator)


async def withdraw_approvals(connection: AsyncConnection, context: Context, actor: str) -> list[int]:
    """End the approvals that operators who left gave; return the numbers of the runs.

    Such a run waits for another operator's approval. Once its first effect has begun, it continues.
    """
    untouched_runs = [run for run in await runs.unfinished(connection) if run.state in CANCELLABLE]
    operators = {None, *context.inventory.operators}
    orphaned_runs = [run for run in untouched_runs if run.approved_by not in operators]
    for run in orphaned_runs:
        await runs.withdraw_approval(connection, run, context.clock.now(), actor)
    return [run.id for run in orphaned_runs]


async def _require_awaiting_approval(connection: AsyncConnection, context: Context, identifier: int) -> Run:
    run = await runs.get_or_none(connection, identifier)
    if run is None:
        raise NoSuchRun(f"there is no run {identifier}")
    if run.state is not RunState.AWAITING_APPROVAL or run.approved_by is not None:
        raise WrongState(_describe_end(run))
    if run.expires_at is not None and run.expires_at <= context.clock.now():
        raise WrongState(f"run {identifier} has expired; the next delivery of its alert makes a new plan")
    return run


def _describe_end(run: Run) -> str:
    """Return why nobody can answer any more, to an operator who was not the first."""
    if run.state is RunState.AWAITING_APPROVAL:
        return f"run {run.id} was already approved by {run.approved_by}"
    if run.state is RunState.REJECTED:
        return f"run {run.id} was already rejected {run.reason}"
    if run.state is RunState.EXPIRED:
        return f"run {run.id} has expired; the next delivery of its alert makes a new plan"
    was_approved = run.approved_by is not None and run.approved_by != run.requested_by
    answer = f"was already approved by {run.approved_by} and " if was_approved else ""
    return f"run {run.id} {answer}is {run.state}, not {RunState.AWAITING_APPROVAL}"
