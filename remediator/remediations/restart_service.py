"""Restarts one service through its manager, after the test of its configuration.

Sources: PMCRM, "High Memory Usage" and "Monitoring Dashboard Review"; ClientForge, "Restarting Services"; Formula PM,
"Service Down"; DeelRx, "Database Connection Issues". Their traps: a restart with a broken configuration ends a service
that still worked, two controllers restart the same process, and `curl` without `-f` takes an error page for health.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from remediator.clients.services import manager_of
from remediator.clients.services.manager import ManagerRefused, Process, ServiceManager, ServiceState, Status
from remediator.model.act_words import ActWords
from remediator.model.errors import TargetUnreachable
from remediator.model.permanent_fix import Cause, Fix
from remediator.model.quoting import script_text, shell_word
from remediator.model.remediation import (
    ONE_ITEM,
    EffectOutcome,
    Item,
    ItemState,
    Needs,
    PermanentFix,
    Plan,
    Remediation,
    Scope,
    Undo,
    Verdict,
)
from remediator.remediations.service_health import verify_health
from runbookd.inventory import ServiceTarget

OLDER_THAN = timedelta(minutes=2)
OUTCOME_READINGS = 15
OUTCOME_POLL_SECONDS = 1.0
STOPPED_BY_HAND, RESTARTS_ITSELF, RECENTLY_STARTED = "stopped_by_hand", "restarts_itself", "recently_started"


@dataclass(frozen=True)
class _RestartSession:
    """A session of this remediation on one service."""

    scope: Scope
    service: ServiceTarget
    manager: ServiceManager

    @property
    def effect_timeout(self) -> timedelta:
        """The time of the test and of the restart, or of watching its health."""
        return 2 * self.service.timeout + self.scope.settings.settle

    async def plan(self) -> Plan:
        state = await self._read()
        evidence = _evidence(state)
        if reason := self._reason_against(state):
            return Plan((), 0, evidence=evidence, empty_reason=reason)
        item = Item({"service": self.scope.target.name, "starts": _starts(state)}, evidence)
        return Plan((item,), 1, evidence=evidence, finds_faults=state.status is not Status.RUNNING)

    async def apply(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        return [await self._restart(item) for item in items]

    async def resolve_outcome(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        """See RemediationSession. The manager may still be at work, so read until every instance has a new start."""
        return [await self._outcome_of(item) for item in items]

    async def verify(self, items: Sequence[Item]) -> Verdict:
        """See RemediationSession. Clean if every instance has a new start, and the service stays healthy."""
        state = await self._read()
        old = [each for item in items for each in _unchanged(item, state)]
        wrong = f"{len(old)} instances have no new start" if old else None
        return await verify_health(self.scope, self.manager, wrong, state)

    async def _read(self) -> ServiceState:
        """Read the state; more processes than the inventory allows may be another program's."""
        state = await self.manager.read()
        if len(state.live) > self.service.max_processes:
            raise TargetUnreachable(
                f"{self.scope.target}: {len(state.live)} processes have its name, {self.service.max_processes} may;"
                " set workers.max if they are instances of it, or give each program a name of its own"
            )
        return state

    def _reason_against(self, state: ServiceState) -> str:
        """Return why an alert is no reason for a restart; an operator may have others."""
        if self.scope.trigger == "operator":
            return ""
        if state.status is Status.STOPPED:
            return STOPPED_BY_HAND
        if state.status is Status.CHANGING:
            return RESTARTS_ITSELF
        older_than = self.scope.settings.older_than or OLDER_THAN
        is_new = state.started_at is not None and datetime.now(UTC) - state.started_at < older_than
        return RECENTLY_STARTED if is_new and state.status is Status.RUNNING else ""

    async def _restart(self, item: Item) -> EffectOutcome:
        if (state := await self._unchanged_state(item)) is None:
            return _changed()
        if self.service.config_test is not None:
            problem = await self.manager.test_configuration(self.service.config_test, state)
            if problem is not None:
                return EffectOutcome(
                    ItemState.FAILED, f"not restarted, the test of its configuration failed: {problem}"
                )
            if (state := await self._unchanged_state(item)) is None:  # the test takes time
                return _changed()
        processes = state.live or state.processes
        try:
            await self.manager.restart(processes)
        except ManagerRefused as error:
            return EffectOutcome(ItemState.FAILED, str(error))
        return EffectOutcome(ItemState.APPLIED, f"restarted {_counted(processes)}")

    async def _unchanged_state(self, item: Item) -> ServiceState | None:
        state = await self._read()
        return state if _starts(state) == item.identity["starts"] else None

    async def _outcome_of(self, item: Item) -> EffectOutcome:
        for _ in range(OUTCOME_READINGS):
            state = await self.manager.read()
            old = _unchanged(item, state)
            if not old:
                return EffectOutcome(ItemState.APPLIED, "every instance has a new start")
            await asyncio.sleep(OUTCOME_POLL_SECONDS)
        if state.status is not Status.CHANGING and _starts(state) == item.identity["starts"]:
            return EffectOutcome(ItemState.NOT_APPLIED, "no instance has a new start")
        return EffectOutcome(
            ItemState.UNKNOWN, f"{len(old)} instances have no new start, the service is {state.status}"
        )


def _starts(state: ServiceState) -> str:
    """Return the identity: the last start of each instance that was not stopped, or of all if none runs."""
    return " ".join(f"{each.id}@{each.start}" for each in state.live or state.processes)


def _unchanged(item: Item, state: ServiceState) -> Sequence[str]:
    """Return the planned instances that have the start of the plan; one that is gone has been replaced."""
    planned = dict(each.rsplit("@", 1) for each in str(item.identity["starts"]).split(" "))
    now = state.starts()
    return [each for each, start in planned.items() if now.get(each) == start]


def _changed() -> EffectOutcome:
    return EffectOutcome(ItemState.SKIPPED, "has been started since the plan")


def _counted(processes: Sequence[Process]) -> str:
    return "1 instance" if len(processes) == 1 else f"{len(processes)} instances"


def _evidence(state: ServiceState) -> Mapping[str, Any]:
    started = state.started_at
    return {
        "state": str(state.status),
        "instances": state.running,
        "pids": [each.pid for each in state.processes],
        "restarts": state.restarts,
        "started": started.isoformat(timespec="seconds") if started is not None else None,
    }


@asynccontextmanager
async def _open(scope: Scope) -> AsyncIterator[_RestartSession]:
    manager = manager_of(scope.target.stack, scope.stack, scope.target.name)
    yield _RestartSession(scope, scope.stack.services[scope.target.name], manager)


def _write_fix(scope: Scope, _causes: Sequence[Cause]) -> Fix:
    """Let the manager restart what ends by itself; a service that hangs or leaks has to be mended."""
    service = scope.stack.services[scope.target.name]
    advice = "Read why it ended or hung before each restart: its log, its memory, its open connections."
    if service.systemd is not None:
        unit = f"# systemctl edit {service.systemd.unit}\n[Service]\nRestart=on-failure\nRestartSec=5s"
        return Fix(f"{advice} Let systemd restart it when it fails:", unit, "ini")
    if service.pm2 is not None:
        command = f"pm2 restart {shell_word(service.pm2.name)} --exp-backoff-restart-delay=100\npm2 save"
        return Fix(f"{advice} Let pm2 go on restarting it, with growing pauses:", command, "shell")
    if service.docker is not None and service.docker.container is not None:
        command = f"docker update --restart unless-stopped {shell_word(service.docker.container)}"
        return Fix(f"{advice} Let docker restart it when it fails:", command, "shell")
    if service.docker is not None:
        compose = f"services:\n  {script_text(service.docker.service or '')}:\n    restart: unless-stopped"
        return Fix(f"{advice} Let docker restart it when it fails, in the compose file:", compose, "yaml")
    return Fix(f"{advice} Let its manager restart it when it fails.")


REMEDIATION = Remediation(
    name="restart_service",
    kind="services",
    keys=frozenset({"older_than"}),
    max_items=1,
    one_effect=True,
    open=_open,
    undo=Undo("none", "A restart cannot be undone: requests and jobs in progress are lost."),
    permanent_fix=PermanentFix(_write_fix, names=("state",)),
    refused_by=frozenset({"requires", "deploy", "backup_running"}),
    past_size=ONE_ITEM,
    words=ActWords("Restart the service {}", "Restarted the service {}"),
    needs=Needs(lambda _stack, _name: True, "a manager"),
)
