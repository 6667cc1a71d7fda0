"""Puts a new inventory in use while runs are under way.

The inventory changes within the ledger's transaction that records it, so each decision in the ledger was made wholly
under the inventory before or after that row. A run that was planned under the previous inventory is planned again; an
admitted run keeps its target and settings.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import structlog
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.clients.alertmanager import AlertmanagerReader
from remediator.config_check import startup_findings
from remediator.console.sign_in.credentials import end_orphaned_sessions
from remediator.context import ActiveAlerts, Context
from remediator.escalation.acknowledge import end_orphaned
from remediator.ledger import audit, runs, switches
from remediator.ledger_placement import placement_problems
from remediator.missing_parts import missing_sections
from remediator.model.errors import LedgerUnavailable
from remediator.runs.approval import withdraw_approvals
from remediator.server.bearer_tokens import BearerTokens
from runbookd.inventory import Inventory, InventoryError, Problem, changed_keys, load_inventory
from runbookd.service import InventoryReload, ReloadFailed
from runbookd.service.check import locate
from runbookd.service.missing import log_missing
from runbookd.service.reload import SUCCESS_HELP, TIME_HELP, refuse_half_written

NO_INVENTORY = "no inventory: give one with --config.file (RUNBOOK_CONFIG_FILE)"
FIXED = (
    "unchanged until a restart: flags and environment variables, such as --ledger.url, --web.listen-address,"
    " --webhook.token-file, --pause.file and RUNBOOK__…"
)
MAX_KEYS = 1_000  # per audit row
MAX_SHOWN_KEYS = 20  # in the answer and the log
log = structlog.get_logger(__name__)


def load_usable_inventory(file: Path | None) -> Inventory:
    """Load the inventory and refuse what the remediator would refuse at its start.

    Raises:
        InventoryError: lists every problem with its place.
    """
    inventory = load_inventory(file, os.environ)
    if inventory is None:
        raise InventoryError([Problem("", "", NO_INVENTORY)])
    problems = [locate(finding, file) for finding in startup_findings(inventory)]
    if problems:
        raise InventoryError(problems)
    return inventory


class InventorySwap:
    """Replaces the inventory of a running remediator, with its operators' tokens."""

    def __init__(self, context: Context, operators: BearerTokens, wake: Callable[[], None]) -> None:
        self._context = context
        self._operators = operators
        self._wake = wake

    async def apply(self, inventory: Inventory, actor: str) -> str:
        """Use `inventory` from now on, and return what changed and what did not.

        Raises:
            InventoryError: it has no stacks, although the previous one has, or a target on the ledger's server.
            ReloadFailed: the ledger cannot record it.
        """
        refuse_half_written(self._context.inventory.stacks, inventory.stacks)
        if problems := await placement_problems(self._context.ledger, inventory):
            raise InventoryError([Problem("", "ledger", problem) for problem in problems])
        previous = self._context.inventory
        keys = changed_keys(previous, inventory)
        try:
            withdrawn_runs, lost_pauses = await self._replace(inventory, actor, keys)
        except LedgerUnavailable as error:
            raise ReloadFailed(f"{error}; reload again once the ledger is available") from None
        self._operators.replace(token_files(inventory))
        self._wake()
        changed = _summary(keys)
        log.info("reloaded", changed=changed, by=actor, withdrawn_approvals=withdrawn_runs, fixed=FIXED)
        log_missing(set(missing_sections(inventory)) - set(missing_sections(previous)))
        if lost_pauses:
            log.warning("a pause is of a stack that the inventory no longer has", stacks=", ".join(lost_pauses))
        return _answer(changed, withdrawn_runs, lost_pauses)

    async def _replace(
        self, inventory: Inventory, actor: str, keys: Sequence[str]
    ) -> tuple[Sequence[int], Sequence[str]]:
        previous = self._context.snapshot()
        try:
            async with self._context.ledger.write() as connection:
                self._context.use(inventory, _alertmanager(previous, inventory))
                return await self._record(connection, actor, keys)
        except Exception:
            self._context.restore(previous)
            raise

    async def _record(
        self, connection: AsyncConnection, actor: str, keys: Sequence[str]
    ) -> tuple[Sequence[int], Sequence[str]]:
        """Record the reload, and end the approvals, acknowledgements and sessions of operators who left.

        Return the runs without their approval, and the paused stacks that the inventory no longer has.
        """
        now = self._context.clock.now()
        detail: dict[str, Any] = {"changed": list(keys[:MAX_KEYS])}
        if len(keys) > MAX_KEYS:
            detail["more"] = len(keys) - MAX_KEYS
        await audit.append(connection, now, "reloaded", actor=actor, detail=detail)
        await end_orphaned_sessions(connection, self._context.inventory, now, actor)
        await end_orphaned(connection, self._context)
        if keys:
            await runs.end_waits(connection, now)
        paused = {each.stack for each in await switches.active_pauses(connection, now) if each.stack is not None}
        lost_pauses = sorted(paused - self._context.inventory.stacks.keys())
        return await withdraw_approvals(connection, self._context, actor), lost_pauses


def token_files(inventory: Inventory) -> dict[str, Path]:
    """Return the token file of each operator who has one."""
    files = {name: operator.token_file for name, operator in inventory.operators.items()}
    return {name: file for name, file in files.items() if file is not None}


def _alertmanager(previous: Context, inventory: Inventory) -> ActiveAlerts | None:
    if inventory.alertmanager == previous.inventory.alertmanager:
        return previous.alertmanager
    return AlertmanagerReader(inventory.alertmanager.url_secret()) if inventory.alertmanager else None


def _summary(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - MAX_SHOWN_KEYS} more" if len(keys) > MAX_SHOWN_KEYS else ""
    return ", ".join(keys[:MAX_SHOWN_KEYS]) + more or "nothing"


def _answer(changed: str, withdrawn_runs: Sequence[int], lost_pauses: Sequence[str]) -> str:
    lines = [f"changed: {changed}"]
    if withdrawn_runs:
        numbers = ", ".join(map(str, withdrawn_runs))
        lines.append(f"approvals ended, because their operator left: runs {numbers}; approve them again")
    if lost_pauses:
        names = ", ".join(lost_pauses)
        lines.append(f"paused, but no longer in the inventory: {names}; pause a stack again that has another name now")
    return "".join(f"{line}\n" for line in (*lines, FIXED))


def reload_families(reload: InventoryReload[Inventory]) -> list[Metric]:
    """Return the metrics of the last reload."""
    name = "runbook_remediator_config_last_reload_success"
    return [
        GaugeMetricFamily(name, SUCCESS_HELP, value=not reload.problem),
        GaugeMetricFamily(f"{name}_timestamp_seconds", TIME_HELP, value=reload.loaded_at),
    ]
