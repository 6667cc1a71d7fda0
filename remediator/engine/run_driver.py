"""Drives one run from state to state, as far as it can go now."""

from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog
from pydantic import ValidationError

from remediator.context import Context, LeaderContext
from remediator.ledger import audit
from remediator.ledger.runs import Run, StaleRun
from remediator.model.errors import LedgerUnavailable
from remediator.model.run_state import ENDED, UNKNOWN_TARGET, RunState
from remediator.model.target import ResolvedTarget, UnresolvedTarget, resolve_target
from remediator.runs.execution import execute
from remediator.runs.planning import fail, precheck, refuse
from remediator.runs.recovery import mark_unknown, recover
from remediator.runs.run_target import with_origin, with_undone_items
from remediator.runs.transitions import transition
from remediator.runs.verification import verify
from remediator.shutdown import ShutdownSignal
from runbookd.inventory import RemediationSettings

LEDGER_RETRY_SECONDS = 5.0
CRASH_RETRY_SECONDS = 2.0
MAX_CRASHES = 3
WAITING = frozenset({RunState.DEFERRED, RunState.AWAITING_APPROVAL})
EFFECTS_BEGUN = frozenset({RunState.EXECUTING, RunState.VERIFYING})
log = structlog.get_logger(__name__)


class RunDriver:
    """Drives runs, each in a task of its own. `record_fault` receives every fault."""

    def __init__(
        self, context: LeaderContext, shutdown: ShutdownSignal, record_fault: Callable[[Exception], None]
    ) -> None:
        self._context = context
        self._shutdown = shutdown
        self._record_fault = record_fault
        self._crashes: Counter[int] = Counter()

    async def drive(self, run: Run) -> None:
        """Drive a run as far as it can go now; after a fault, the next tick continues it."""
        try:
            await self._take_steps(run)
            self._crashes.pop(run.id, None)
        except StaleRun as error:
            log.info("stale run skipped", run=run.id, reason=str(error))
        except LedgerUnavailable as error:
            self._record_fault(error)
            await self._shutdown.sleep(LEDGER_RETRY_SECONDS)
        except Exception as error:
            log.exception("run crashed", run=run.id)
            self._crashes[run.id] += 1
            self._record_fault(error)
            await self._shutdown.sleep(CRASH_RETRY_SECONDS)

    async def _take_steps(self, run: Run) -> None:
        target = resolve_target_of(self._context, run)  # once: a reload does not change the target of a run under way
        async with self._context.ledger.read() as connection:
            target = await with_undone_items(connection, target, run)
        while run.state not in ENDED and not self._shutdown.is_set():
            previous, run = run, await self._next_step(run, target)
            await self._log_run(run)
            if run.state in WAITING or run.state is previous.state:
                return

    async def _log_run(self, run: Run) -> None:
        """Log the state of a run, and at its end the head of the audit trail that covers it."""
        log_fields: dict[str, Any] = {
            "run": run.id,
            "remediation": run.remediation,
            "target": run.target,
            "state": str(run.state),
        }
        if run.reason:
            log_fields["reason"] = run.reason
        if run.state in ENDED:
            async with self._context.ledger.read() as connection:
                log_fields["audit_head"] = await audit.head(connection)
        log.info("run", **log_fields)

    def _next_step(self, run: Run, target: ResolvedTarget | UnresolvedTarget) -> Coroutine[None, None, Run]:
        if has_expired(run, self._context.clock.now()):
            return self._expire(run)
        if self._crashes[run.id] >= MAX_CRASHES:  # an operator must check it; other runs must not wait
            reason = f"crashed {self._crashes[run.id]} times; see the log"
            return self._give_up(run, "internal_error", reason)
        match target:
            case ResolvedTarget():
                return STEPS[run.state](self._context, run, target, self._shutdown)
            case UnresolvedTarget(detail):
                return self._end_unresolved(run, detail)

    def _end_unresolved(self, run: Run, detail: str) -> Coroutine[None, None, Run]:
        if run.state is RunState.PLANNED:
            return refuse(self._context, run, UNKNOWN_TARGET, detail)
        return self._give_up(run, UNKNOWN_TARGET, detail)

    def _give_up(self, run: Run, reason: str, detail: str) -> Coroutine[None, None, Run]:
        if run.state in EFFECTS_BEGUN:
            return mark_unknown(self._context, run, detail)
        return fail(self._context, run, reason, detail)

    async def _expire(self, run: Run) -> Run:
        async with self._context.ledger.write() as connection:
            return await transition(connection, self._context, run, RunState.EXPIRED, reason=run.reason)


def resolve_target_of(context: Context, run: Run) -> ResolvedTarget | UnresolvedTarget:
    """Look up the target of `run`; after its first effect, with the settings with which it was admitted."""
    target = resolve_target(context.inventory, context.remediations, run.key)
    target = with_origin(target, run) if isinstance(target, ResolvedTarget) else target
    if isinstance(target, UnresolvedTarget) or run.state not in EFFECTS_BEGUN or run.settings is None:
        return target
    try:
        return replace(target, settings=RemediationSettings.model_validate(run.settings))
    except ValidationError:  # another release admitted it
        return target


async def plan_and_execute(context: LeaderContext, run: Run, target: ResolvedTarget, shutdown: ShutdownSignal) -> Run:
    """Plan and judge a run, and execute it at once if it is admitted."""
    run = await precheck(context, run, target)
    return await execute(context, run, target, shutdown) if run.state is RunState.ADMITTED else run


Step = Callable[[LeaderContext, Run, ResolvedTarget, ShutdownSignal], Coroutine[None, None, Run]]
# The step for a run that is found in a state, also right after a start; TRANSITIONS lists where it may lead.
STEPS: dict[RunState, Step] = {
    RunState.PLANNED: plan_and_execute,
    RunState.DEFERRED: plan_and_execute,
    RunState.AWAITING_APPROVAL: plan_and_execute,
    RunState.ADMITTED: plan_and_execute,  # crashed before its first effect: judged again
    RunState.EXECUTING: recover,  # crashed within its effects
    RunState.VERIFYING: verify,
}


def has_expired(run: Run, now: datetime) -> bool:
    """Return whether a waiting run has expired; a clock set back at most doubles its wait."""
    if run.state not in WAITING or run.expires_at is None:
        return False
    return run.expires_at <= now or run.created_at - now > run.expires_at - run.created_at


def is_ready(run: Run, confirmed_at: datetime, now: datetime) -> bool:
    """Return whether `run` can continue; an alert's deferred run also needs it delivered again."""
    if run.state not in WAITING or has_expired(run, now):
        return True
    if run.state is RunState.AWAITING_APPROVAL:
        return run.approved_by is not None
    confirmed_again = run.deferred_at is not None and confirmed_at > run.deferred_at
    may_continue = confirmed_again or not run.answers_an_alert
    return may_continue and run.not_before is not None and run.not_before <= now
