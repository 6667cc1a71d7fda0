"""One message about all alerts that name targets which the inventory does not have.

A wrong label or a renamed target makes many such alerts at once. They have one cause, so contacts get one message per
stack with their number and the first names, and at most one per MESSAGE_INTERVAL.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from remediator.context import Context, LeaderContext
from remediator.escalation.content import Content, Severity
from remediator.escalation.links import console_link
from remediator.escalation.policy import contacts_for
from remediator.ledger import outbox, run_history
from remediator.ledger.runs import Run
from remediator.model.run_state import UNKNOWN_TARGET

MESSAGE_INTERVAL = timedelta(minutes=10)
QUIET = timedelta(seconds=3)  # without a further such alert, before the message is made
MAX_DELAY = timedelta(seconds=30)  # of the message while such alerts go on to arrive
SHOWN_NAMES = 10


async def notify_unknown_targets(context: LeaderContext) -> None:
    """Queue the message about the runs that were refused since the last one, when it is due."""
    refused_runs = await _read_unreported(context)
    if not refused_runs:
        return
    # The time of the message, so that the next one covers whatever was refused since.
    newest_end = max(run.finished_at for run in refused_runs if run.finished_at is not None)
    async with context.ledger.write() as connection:
        for stack, stack_runs in _by_stack(context, refused_runs).items():
            key = outbox.unknown_targets_key(stack_runs[-1].id)
            message = _message(context, stack, stack_runs)
            contacts = contacts_for(context.inventory, stack, None)
            await outbox.enqueue(connection, stack_runs[0].episode, key, contacts, message.draft(), newest_end)


async def _read_unreported(context: Context) -> Sequence[Run]:
    """Return the runs for a message that is due now; a clock set back delays none."""
    now = context.clock.now()
    async with context.ledger.read() as connection:
        last_at = await outbox.last_unknown_targets_at(connection)
        if last_at is not None and last_at <= now < last_at + MESSAGE_INTERVAL:
            return ()
        since = now - MESSAGE_INTERVAL if last_at is None else max(last_at, now - 2 * MESSAGE_INTERVAL)
        refused_runs = await run_history.refused_since(connection, UNKNOWN_TARGET, since)
    ends = [run.finished_at for run in refused_runs if run.finished_at is not None]
    is_due = bool(ends) and (now >= max(ends) + QUIET or now >= min(ends) + MAX_DELAY)
    return refused_runs if is_due else ()


def _by_stack(context: Context, refused_runs: Sequence[Run]) -> Mapping[str, Sequence[Run]]:
    """Group runs by their stack; those of all unknown stacks are one group."""
    groups: dict[str, list[Run]] = {}
    for run in refused_runs:
        groups.setdefault(run.stack if run.stack in context.inventory.stacks else "", []).append(run)
    return groups


def _message(context: Context, stack: str, refused_runs: Sequence[Run]) -> Content:
    count = len({run.episode for run in refused_runs})
    title = f"[{stack or 'unknown stack'}] {count} {'alert names a target' if count == 1 else 'alerts name targets'}"
    lines = list(dict.fromkeys(f"{run.remediation} on {run.target}: {_detail(run)}" for run in refused_runs))
    more = [f"… and {len(lines) - SHOWN_NAMES} more"] if len(lines) > SHOWN_NAMES else []
    return Content(
        f"{title} that the inventory does not have",
        Severity.WARNING,
        facts=(*lines[:SHOWN_NAMES], *more),
        advice=("what next: Nothing was touched. Correct the alerts' labels, or the inventory.",),
        links=console_link(context.inventory, "runs", "/runs?state=refused"),
        more="runbookctl runs --state refused",
    )


def _detail(run: Run) -> str:
    refused_by: Mapping[str, str] = run.evidence.get("bounds", {}).get("refused_by", {})
    return refused_by.get(UNKNOWN_TARGET, "unknown")
