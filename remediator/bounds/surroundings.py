"""Reads what forbids a run: required targets that are down, deploys, migrations and backups.

Only a remediation that declares these bounds is held up by them. A database that cannot be
read counts as one with a migration and a backup.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.clients.required_targets import missing_requirement
from remediator.clients.surrounding_sessions import SurroundingSessions, read_sessions
from remediator.ledger import deploys, run_history
from remediator.ledger.runs import Run
from remediator.model.errors import TargetUnreachable
from remediator.model.remediation import Scope
from remediator.model.target import ResolvedTarget

DEPLOY_FOR = timedelta(minutes=10)  # for which a deploy counts as under way if nobody reports its end
BACKUP_REMEDIATION = "run_backup"


@dataclass(frozen=True)
class SurroundingFacts:
    """For each bound the reasons that stop the run; None if the remediation does not declare the bound."""

    requires: Sequence[str] | None = None
    deploy: Sequence[str] | None = None
    backup_running: Sequence[str] | None = None

    @property
    def reason(self) -> str | None:
        """The first bound that stops a run, or None."""
        return next((name for name in ("requires", "deploy", "backup_running") if getattr(self, name)), None)


NO_SURROUNDINGS = SurroundingFacts()


async def query_surroundings(target: ResolvedTarget, run: int | str) -> SurroundingFacts:
    """Read what the bounds that the remediation declares need, before the transaction begins."""
    declared, scope = target.remediation.refused_by, target.scope(run)
    required, sessions = await asyncio.gather(
        _requirements(scope) if "requires" in declared else _no_requirements(),
        _sessions(scope) if declared & {"deploy", "backup_running"} else _no_sessions(),
    )
    return SurroundingFacts(
        required if "requires" in declared else None,
        [text for text, _ in sessions if text] if "deploy" in declared else None,
        [text for _, text in sessions if text] if "backup_running" in declared else None,
    )


async def add_ledger_facts(
    connection: AsyncConnection, target: ResolvedTarget, run: Run, found: SurroundingFacts, now: datetime
) -> SurroundingFacts:
    """Add the reported deploy and our own backup, read in the transaction that decides."""
    if found.deploy is not None:
        found = replace(found, deploy=[*found.deploy, *await _reported_deploy(connection, target.name.stack, now)])
    if found.backup_running is not None:
        found = replace(found, backup_running=[*found.backup_running, *await _own_backup(connection, run)])
    return found


async def _reported_deploy(connection: AsyncConnection, stack: str, now: datetime) -> Sequence[str]:
    newest = (await deploys.newest_by_stack(connection)).get(stack)
    # A moment in the future, after the clock was set back, counts as now.
    if newest is None or newest.done_at is not None or now - newest.begun_at >= DEPLOY_FOR:
        return ()
    version = f" of {newest.version}" if newest.version else ""
    return (f"a deploy{version} began at {newest.begun_at:%H:%M:%S} UTC, and its end is not reported",)


async def _own_backup(connection: AsyncConnection, run: Run) -> Sequence[str]:
    active = await run_history.active(connection, excluded_run=run.id)
    backups = [each for each in active if each.remediation == BACKUP_REMEDIATION and each.stack == run.stack]
    return [f"run {each.id} makes a backup of {each.target}" for each in backups]


async def _requirements(scope: Scope) -> Sequence[str]:
    names = scope.stack.services[scope.target.name].requires if scope.target.kind == "services" else ()
    problems = await asyncio.gather(*(missing_requirement(scope, name) for name in names))
    return [each for each in problems if each is not None]


async def _sessions(scope: Scope) -> Sequence[tuple[str, str]]:
    """Return for each PostgreSQL target of the stack what its migrations, and what its backups are."""
    return await asyncio.gather(*(_sessions_of(scope.at("postgres", name)) for name in scope.stack.postgres))


async def _sessions_of(scope: Scope) -> tuple[str, str]:
    try:
        sessions: SurroundingSessions = await read_sessions(scope)
    except TargetUnreachable as error:
        unread = f"cannot tell what is under way: {error}"
        return unread, unread
    return _sentence(scope, "a migration", sessions.migrations), _sentence(scope, "a backup", sessions.backups)


def _sentence(scope: Scope, what: str, names: Sequence[str]) -> str:
    return f"{what} is under way in {scope.target}: {', '.join(names)}" if names else ""


async def _no_requirements() -> Sequence[str]:
    return ()


async def _no_sessions() -> Sequence[tuple[str, str]]:
    return ()
