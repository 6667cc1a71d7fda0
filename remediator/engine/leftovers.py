"""Drops the scratch databases that a crash has left behind, once after the start."""

import asyncio

import structlog

from remediator.clients.postgres import translate_errors
from remediator.clients.scratch_database import open_scratch_server
from remediator.context import Context
from remediator.model.errors import TargetUnreachable
from remediator.model.remediation import Scope, TargetName
from runbookd.inventory import Drill, RemediationSettings, Stack

SWEEP_SECONDS = 90.0
log = structlog.get_logger(__name__)


async def sweep_leftovers(context: Context) -> None:
    """Drop the leftovers of each drill of the inventory; one that cannot be reached is left to the next drill."""
    for stack_name, stack in context.inventory.stacks.items():
        for name, backup in stack.backups.items():
            if backup.drill is not None:
                await _sweep(stack, TargetName(stack_name, "backups", name), backup.drill)


async def _sweep(stack: Stack, target: TargetName, drill: Drill) -> None:
    scope = Scope(stack, target, RemediationSettings(), "sweep")
    try:
        async with asyncio.timeout(SWEEP_SECONDS), open_scratch_server(scope, drill) as server:
            with translate_errors(scope):
                dropped = await server.sweep()
    except (TargetUnreachable, TimeoutError) as error:
        log.warning("leftovers of drills not looked for", target=str(target), error=str(error) or "no answer in time")
        return
    if dropped:
        log.info("dropped what a drill had left", target=str(target), databases=dropped)
