"""`runbookctl doctor`: connects as the daemons would and reports which rights are missing or too wide.

It checks what the loop needs before it runs, names the repair, and changes nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

from exporter.collectors import COLLECTORS
from exporter.scheduling.outcome import failure_of
from runbookctl.doctor import postgres, reading, redis
from runbookctl.doctor.finding import Finding, Report
from runbookd.inventory import Inventory, Stack

TargetCheck = Callable[[Stack, str], Awaitable[list[Finding]]]
# What is looked at beyond that the exporter can read the target at all.
CHECKS: dict[str, TargetCheck] = {"postgres": postgres.check, "redis": redis.check, "backups": reading.check_backups}
# For everything that is asked of one target, the queries of its user among it.
SECONDS = 300.0
__all__ = ["Finding", "Report", "examine"]


async def examine(inventory: Inventory, stacks: frozenset[str]) -> list[Report]:
    """Look at every target of these stacks, all at once. Raises nothing that a target does."""
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_report(stack_name, stack, kind, name))
            for stack_name, stack in inventory.stacks.items()
            if stack_name in stacks
            for kind, name in _targets(stack)
        ]
    return [task.result() for task in tasks]


def _targets(stack: Stack) -> Iterator[tuple[str, str]]:
    for kind in COLLECTORS:
        for name in getattr(stack, kind):
            yield kind, name


async def _report(stack_name: str, stack: Stack, kind: str, name: str) -> Report:
    try:
        async with asyncio.timeout(SECONDS):
            findings = await reading.check(COLLECTORS[kind](stack, name))
            # What can not be read at all is one finding; its rights would only be more of the same.
            if not findings and kind in CHECKS:
                findings = await CHECKS[kind](stack, name)
    except TimeoutError:
        findings = [Finding(f"did not answer all questions within {SECONDS:.0f} s", "look whether it is overloaded")]
    except Exception as error:  # whatever it is, the other targets are looked at
        findings = [Finding(failure_of(error).reason, "look at the log of the target")]
    return Report(f"{stack_name}/{kind}/{name}", tuple(findings))
