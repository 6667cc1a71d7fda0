"""Undoes the effects of a run: whether that is possible, and the ends that the engine plans and starts by itself.

A planned undo is a row of the ledger, written in the transaction in which its run succeeds, so it survives a restart.
"""

from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.bounds.kill_switch import pause_reason
from remediator.context import Context, LeaderContext
from remediator.ledger import episodes, outbox, planned_undos, runs
from remediator.ledger.planned_undos import DueUndo
from remediator.ledger.run_row import Origin
from remediator.ledger.runs import Run
from remediator.model.errors import NoSuchRun, WrongState
from remediator.model.remediation import never
from remediator.model.run_state import ENDED, RunState
from remediator.model.target import ResolvedTarget, UnresolvedTarget, resolve_target
from remediator.model.windows import active_freeze
from remediator.runs.run_target import applied_items, with_origin

RETRY_AFTER = timedelta(minutes=5)
FINISHED = "finished"  # the end of an episode that no alert has joined
_RETRIED = frozenset({RunState.INTERRUPTED, RunState.FAILED, RunState.EXPIRED, RunState.CANCELLED})
# Bounds that pass by themselves, so a refused undo is tried again.
_PASSING = frozenset({"kill_switch", "freeze", "blocked_by_alert", "requires", "deploy", "backup_running"})
_DONE = frozenset({RunState.SUCCEEDED, RunState.NOTHING_TO_DO})
log = structlog.get_logger(__name__)


async def require_undoable(connection: AsyncConnection, context: Context, identifier: int) -> Run:
    """Return the run with this number, whose effects a run can undo.

    Raises:
        NoSuchRun: no run has this number.
        WrongState: it has not ended, has applied nothing, is being or has been undone, or cannot be undone.
    """
    run = await runs.get_or_none(connection, identifier)
    if run is None:
        raise NoSuchRun(f"there is no run {identifier}")
    if (problem := _undo_problem(context, run)) is not None:
        raise WrongState(f"run {identifier} cannot be undone by a run: {problem}")
    if run.state not in ENDED:
        raise WrongState(f"run {identifier} is {run.state}; wait for its end")
    if not await applied_items(connection, identifier):
        raise WrongState(f"run {identifier} has applied nothing, so there is nothing to undo")
    for undo in await runs.undoing(connection, identifier):
        if undo.state not in ENDED or undo.state is RunState.SUCCEEDED:
            raise WrongState(f"run {undo.id}, which undoes run {identifier}, is {undo.state}")
    return run


def _undo_problem(context: Context, run: Run) -> str | None:
    """Return why no run can undo `run`, or None."""
    if run.undoes is not None:
        return f"it undoes run {run.undoes} itself; start {run.remediation} instead"
    match resolve_target(context.inventory, context.remediations, run.key):
        case UnresolvedTarget(detail):
            return detail
        case target:
            undo = target.declaration.undo
            return None if undo.kind == "exact" else undo.sentence


async def follow_end(connection: AsyncConnection, context: Context, run: Run) -> None:
    """Record what the end of `run` means for its episode, and for the undo that it was or that it needs."""
    if run.undoes is not None:
        await _settle_undo(connection, context, run, run.undoes)
    elif run.state is RunState.SUCCEEDED:
        await _plan_undo(connection, context, run)
    if not run.answers_an_alert:
        await _end_own_episode(connection, context, run)


async def _plan_undo(connection: AsyncConnection, context: Context, run: Run) -> None:
    target = resolve_target(context.inventory, context.remediations, run.key)
    target = with_origin(target, run) if isinstance(target, ResolvedTarget) else target
    now = context.clock.now()
    if isinstance(target, UnresolvedTarget):
        await _plan_refusal(connection, context, run, now)
        return
    if target.declaration.undo.kind != "exact":
        return
    when = target.remediation.undo_when(target.scope(run.id))
    if when is None:
        return
    episode = await episodes.get(connection, run.episode)
    if when.after is None and not episode.has_alerts:  # no alert will end: the operator who started it undoes it
        return
    await planned_undos.plan_undo(connection, run, now + when.after if when.after is not None else None, now)


async def _plan_refusal(connection: AsyncConnection, context: Context, run: Run, now: datetime) -> None:
    """Plan an undo although a reload during the run has removed its target: its refusal notifies the contacts."""
    remediation = context.remediations.get(run.remediation)
    if remediation is not None and remediation.undo_when is not never:
        await planned_undos.plan_undo(connection, run, now, now)


async def _settle_undo(connection: AsyncConnection, context: Context, run: Run, undone: int) -> None:
    """Close the planned undo, or let the engine try again; only its own failures count."""
    now = context.clock.now()
    if run.state in _DONE:
        await planned_undos.close(connection, undone, str(run.state), now)
    elif run.trigger == "end" and _is_retried(run):
        due_at = now if run.state is RunState.INTERRUPTED else now + RETRY_AFTER
        await planned_undos.postpone(connection, undone, due_at)
    elif run.trigger == "end":
        await planned_undos.close(connection, undone, f"{run.state} {run.reason}".rstrip(), now)


def _is_retried(run: Run) -> bool:
    """Return whether a later try can succeed; the breaker ends a series of failures."""
    return run.state in _RETRIED or (run.state is RunState.REFUSED and run.reason in _PASSING)


async def _end_own_episode(connection: AsyncConnection, context: Context, run: Run) -> None:
    episode = await episodes.get(connection, run.episode)
    if episode.ended_at is None and not episode.has_alerts:
        await episodes.end(connection, episode, FINISHED, context.clock.now())
        await outbox.drop_unsent_steps(connection, episode.id)


async def start_due_undos(context: LeaderContext) -> None:
    """Plan the runs that undo what is due, one per target at a time.

    They wait for the end of a pause, a freeze and another run of the target.
    """
    async with context.ledger.read() as connection:
        due = await planned_undos.due_undos(connection, context.clock.now())
    newest_first = {each.key: each for each in reversed(due)}
    for each in newest_first.values():
        async with context.ledger.write() as connection:
            await _start_undo(connection, context, each)


async def _start_undo(connection: AsyncConnection, context: Context, due: DueUndo) -> None:
    now, stack = context.clock.now(), context.inventory.stacks.get(due.key.stack)
    is_frozen = stack is not None and active_freeze(stack.freezes.items(), now) is not None
    if is_frozen or await pause_reason(connection, context, due.key.stack) is not None:
        return
    # Its last try may have failed since, and has postponed it: two at once would open the breaker.
    is_due = due in await planned_undos.due_undos(connection, now)
    if not is_due or await runs.unfinished_of(connection, due.key) is not None:
        return
    episode = await episodes.open_for(connection, due.key) or await episodes.open_without_alerts(
        connection, due.key, now
    )
    undone = await runs.get(connection, due.run)
    run = await runs.create(connection, episode, now, Origin("end", None, undone.parameters, due.run))
    log.info("the end of a run is due", run=run.id, undoes=due.run, target=due.key.target)
