"""`runbookctl doctor`: reports rights that are missing or too wide.

It connects as the daemons do, names the fix for each finding, and changes nothing but an object of its own.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

from exporter.collectors import COLLECTORS
from exporter.scheduling.outcome import failure_of
from runbookctl.accounts import alertmanager_account
from runbookctl.doctor import alertmanager, backups, folders, postgres, reading, redis, secret_files, services
from runbookctl.doctor.finding import Finding, Report
from runbookd.inventory import Inventory, Stack

TargetCheck = Callable[[Stack, str], Awaitable[list[Finding]]]
OwnCheck = Callable[[str, Stack, str], Awaitable[list[Finding]]]
# The checks per kind, after a first one that the exporter can read the target.
CHECKS: dict[str, TargetCheck] = {"postgres": postgres.check, "redis": redis.check, "backups": backups.check}
# The kinds that only the remediator reads: the exporter opens no socket that can restart anything.
OWN_CHECKS: dict[str, OwnCheck] = {"services": services.check, "folders": folders.check}
# For all checks of one target, including the user's queries.
SECONDS = 300.0
__all__ = ["Finding", "Report", "examine"]


async def examine(inventory: Inventory, stacks: frozenset[str], tokens: Sequence[Path] = ()) -> list[Report]:
    """Check all targets of these stacks concurrently, then Alertmanager and the files of secrets.

    A failing target becomes a finding. `tokens` are files of the webhook's tokens.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_report(stack_name, stack, kind, name))
            for stack_name, stack in inventory.stacks.items()
            if stack_name in stacks
            for kind, name in _targets(stack)
        ] + [
            group.create_task(_own_report(stack_name, stack, kind, name))
            for stack_name, stack in inventory.stacks.items()
            if stack_name in stacks
            for kind in OWN_CHECKS
            for name in getattr(stack, kind)
        ]
    of_alertmanager = await alertmanager.reports(inventory)
    return [*(task.result() for task in tasks), *of_alertmanager, *_file_reports(inventory, tokens)]


def _file_reports(inventory: Inventory, tokens: Sequence[Path]) -> Iterator[Report]:
    files = [*secret_files.files_of(inventory), *tokens]
    if files:
        account = alertmanager_account()
        findings = [*secret_files.check_readers(files), *secret_files.check_tokens(tokens, account)]
        findings += secret_files.check_passwords(inventory)
        yield Report("secret files", tuple(findings))


def _targets(stack: Stack) -> Iterator[tuple[str, str]]:
    for kind in COLLECTORS:
        for name in getattr(stack, kind):
            yield kind, name


async def _own_report(stack_name: str, stack: Stack, kind: str, name: str) -> Report:
    """Check a target as the remediator reads it."""
    try:
        findings = await OWN_CHECKS[kind](stack_name, stack, name)
    except Exception as error:
        findings = [Finding(failure_of(error).reason, "read the target by hand as this user")]
    return Report(f"{stack_name}/{kind}/{name}", tuple(findings))


async def _report(stack_name: str, stack: Stack, kind: str, name: str) -> Report:
    notes: list[str] = []
    try:
        async with asyncio.timeout(SECONDS):
            # An unreadable target is one finding; checking its rights would only repeat it.
            if problem := await reading.check(COLLECTORS[kind](stack, name), notes):
                place = f"stacks.{stack_name}.{kind}.{name}"
                repair = f"correct {place} in the inventory (address, TLS, password), or repair the server"
                findings = [Finding(problem, repair)]
            else:
                findings = await CHECKS[kind](stack, name) if kind in CHECKS else []
    except TimeoutError:
        findings = [
            Finding(f"not all checks finished within {SECONDS:.0f} s", "check whether the target is overloaded")
        ]
    except Exception as error:  # whatever it is, the other targets are still checked
        findings = [Finding(failure_of(error).reason, "check the target's log")]
    return Report(f"{stack_name}/{kind}/{name}", tuple(findings), tuple(notes))
