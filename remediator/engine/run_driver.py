"""Takes one run as far as it goes now: from its plan to its end, whatever happens on the way."""

from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

import structlog

from remediator.context import World
from remediator.ledger import audit
from remediator.ledger.runs import LostRun, Run
from remediator.model.errors import LedgerUnavailable
from remediator.model.run_state import ENDED, RunState
from remediator.model.target import Found, find
from remediator.runs.execution import execute, lose, recover, verify
from remediator.runs.planning import fail, precheck
from remediator.runs.transitions import advance
from remediator.shutdown import Stop

TROUBLE_SECONDS = 5.0
MISHAP_SECONDS = 2.0
MAX_MISHAPS = 3
WAITING = frozenset({RunState.DEFERRED, RunState.AWAITING_APPROVAL})
log = structlog.get_logger(__name__)


class Driver:
    """Takes runs on, each in a task of its own. `tell` hears of what goes wrong."""

    def __init__(self, world: World, stop: Stop, tell: Callable[[Exception], None]) -> None:
        self._world = world
        self._stop = stop
        self._tell = tell
        self._mishaps: Counter[int] = Counter()

    async def drive(self, run: Run) -> None:
        """Take a run as far as it goes now. Whatever stops this, the next tick finds the run where it is."""
        try:
            await self._steps(run)
            self._mishaps.pop(run.id, None)
        except LostRun as error:
            log.info("left alone", run=run.id, reason=str(error))
        except LedgerUnavailable as error:
            self._tell(error)
            await self._stop.sleep(TROUBLE_SECONDS)
        except Exception as error:
            log.exception("a run stopped", run=run.id)
            self._mishaps[run.id] += 1
            self._tell(error)
            await self._stop.sleep(MISHAP_SECONDS)

    async def _steps(self, run: Run) -> None:
        while run.state not in ENDED and not self._stop.is_set():
            before, run = run, await self._step(run)
            await self._log(run)
            if run.state in WAITING or run.state is before.state:
                return

    async def _log(self, run: Run) -> None:
        """Where a run stands; with its end the head of the audit trail, which covers all of it."""
        said: dict[str, Any] = {
            "run": run.id,
            "remediation": run.remediation,
            "target": run.target,
            "state": str(run.state),
        }
        if run.reason:
            said["reason"] = run.reason
        if run.state in ENDED:
            async with self._world.ledger.read() as connection:
                said["audit_head"] = await audit.head(connection)
        log.info("run", **said)

    def _step(self, run: Run) -> Coroutine[None, None, Run]:
        if has_run_out(run, self._world.clock.now()):
            return self._expire(run)
        found = find(self._world.inventory, self._world.remediations, run.key)
        begun = run.state in (RunState.EXECUTING, RunState.VERIFYING)
        if self._mishaps[run.id] >= MAX_MISHAPS:
            return self._give_up(run, begun)
        if begun and isinstance(found, str):
            return lose(self._world, run, found)
        if run.state is RunState.EXECUTING and isinstance(found, Found):
            return recover(self._world, run, found)
        if run.state is RunState.VERIFYING and isinstance(found, Found):
            return verify(self._world, run, found, self._stop)
        return self._plan_and_execute(run, found)

    def _give_up(self, run: Run, begun: bool) -> Coroutine[None, None, Run]:
        """It has stopped unexpectedly again and again; a person has to look, and others must not wait for it."""
        why = f"stopped unexpectedly {self._mishaps[run.id]} times; see the log"
        if begun:
            return lose(self._world, run, why)
        return fail(self._world, run, "internal_error", why)

    async def _plan_and_execute(self, run: Run, found: Found | str) -> Run:
        run = await precheck(self._world, run, found)
        if run.state is RunState.ADMITTED and isinstance(found, Found):
            return await execute(self._world, run, found, self._stop)
        return run

    async def _expire(self, run: Run) -> Run:
        async with self._world.ledger.write() as connection:
            return await advance(connection, self._world, run, RunState.EXPIRED, reason=run.reason)


def has_run_out(run: Run, now: datetime) -> bool:
    """Whether a waiting run has waited long enough; no step of the clock makes it wait more than twice as long."""
    if run.state not in WAITING or run.expires_at is None:
        return False
    return run.expires_at <= now or run.created_at - now > run.expires_at - run.created_at


def can_go_on(run: Run, confirmed_at: datetime, now: datetime) -> bool:
    """Whether something can be done for `run` now; a deferred one also waits for its alert to be delivered again."""
    if run.state not in WAITING or has_run_out(run, now):
        return True
    if run.state is RunState.AWAITING_APPROVAL:
        return run.approved_by is not None
    confirmed_again = run.deferred_at is not None and confirmed_at > run.deferred_at
    return confirmed_again and run.not_before is not None and run.not_before <= now
