"""Ends sessions that hold an idle transaction open.

Source: the PMCRM runbook, "Common Incidents > Database Connection Issues" (idle in transaction for five minutes). Its
statement also ends sessions of other databases, superusers and the leader of a parallel pg_dump; this one does not.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from remediator.clients.postgres import translate_errors
from remediator.clients.primary import connect_primary, is_at_work
from remediator.clients.sessions import format_moment, load_session_statements, protection, read_moments, read_pid
from remediator.model.act_words import ActWords
from remediator.model.permanent_fix import Cause, Fix, values_of
from remediator.model.quoting import sql_duration, sql_name
from remediator.model.remediation import (
    EffectOutcome,
    Item,
    ItemState,
    PastSize,
    PermanentFix,
    Plan,
    Remediation,
    Scope,
    Undo,
    Verdict,
)

OLDER_THAN = timedelta(minutes=5)
TIMEOUT = timedelta(seconds=60)  # of the permanent fix: a transaction that waits for so long is a fault
PLAN_SECONDS = 8.0
END_WAIT_MS = 5_000  # a backend ends within milliseconds unless the host is in trouble
MAX_LISTED = 1_000  # sessions in one plan; the total is counted beyond it
OUTCOME_READINGS = 6
OUTCOME_POLL_SECONDS = 0.5
MOMENTS = ("backend_start", "xact_start", "state_change")

SQL = load_session_statements(__package__, "terminate_idle_transactions.sql")


@dataclass(frozen=True)
class _SessionIdentity:
    """The identity of a planned session: its process and its idle transaction."""

    pid: int
    backend_start: datetime
    xact_start: datetime
    state_change: datetime

    @classmethod
    def of(cls, item: Item) -> "_SessionIdentity":
        return cls(read_pid(item), *read_moments(item, *MOMENTS))

    @property
    def process(self) -> tuple[int, datetime]:
        return self.pid, self.backend_start

    @property
    def all(self) -> tuple[int, datetime, datetime, datetime]:
        return self.pid, self.backend_start, self.xact_start, self.state_change

    @property
    def since(self) -> tuple[datetime, datetime]:
        return self.xact_start, self.state_change


@dataclass(frozen=True)
class _TerminationSession:
    """A session of this remediation on the database of `admin_dsn`."""

    scope: Scope
    connection: asyncpg.Connection
    may_signal: bool

    @property
    def effect_timeout(self) -> timedelta:
        return timedelta(milliseconds=2 * END_WAIT_MS)

    async def plan(self) -> Plan:
        with translate_errors(self.scope):
            async with asyncio.timeout(PLAN_SECONDS):
                rows = await self.connection.fetch(SQL["plan"], *self._exclusions(), MAX_LISTED)
                backends = await self.connection.fetchval(SQL["client_backends"])
        total = rows[0]["found"] if rows else 0
        return Plan(tuple(map(_item, rows)), total, population=backends, evidence={"may_signal": self.may_signal})

    async def apply(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        return [await self._terminate(_SessionIdentity.of(item)) for item in items]

    async def resolve_outcome(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        """See RemediationSession. The signal may not have arrived yet, so read several times."""
        identities = [_SessionIdentity.of(item) for item in items]
        with translate_errors(self.scope):
            for _ in range(OUTCOME_READINGS):
                rows = [await self._row(identity) for identity in identities]
                busy = await is_at_work(self.connection, self.scope)
                if not busy and all(row is None for row in rows):
                    break
                await asyncio.sleep(OUTCOME_POLL_SECONDS)
        return [_outcome_of(row, busy) for row in rows]

    async def verify(self, items: Sequence[Item]) -> Verdict:
        """See RemediationSession. Clean if no candidate is left; with `batch`, none of `items`."""
        plan = await self.plan()
        with translate_errors(self.scope):
            remaining_items = [item for item in items if await self._row(_SessionIdentity.of(item)) is not None]
        clean = not remaining_items and (plan.found == 0 or self.scope.settings.batch is not None)
        return Verdict(clean, {"found": plan.found, "applied": len(items), "applied_still_there": len(remaining_items)})

    async def _terminate(self, identity: _SessionIdentity) -> EffectOutcome:
        arguments = (*self._exclusions(), *identity.all, END_WAIT_MS)
        with translate_errors(self.scope):
            try:
                signal_result = await self.connection.fetchval(SQL["end_one"], *arguments)
            except asyncpg.InsufficientPrivilegeError as error:
                return EffectOutcome(ItemState.FAILED, f"{error}; GRANT pg_signal_backend to the role of admin_dsn")
            row = await self._row(identity)
        return _termination_outcome(signal_result, row, identity)

    async def _row(self, identity: _SessionIdentity) -> asyncpg.Record | None:
        return await self.connection.fetchrow(SQL["remains"], *identity.process)

    def _exclusions(self) -> tuple[timedelta, Sequence[str], Sequence[str], Sequence[str]]:
        settings = self.scope.settings
        older_than = OLDER_THAN if settings.older_than is None else settings.older_than
        return older_than, *protection(settings.protect)


def _item(row: asyncpg.Record) -> Item:
    moments = {key: format_moment(row[key]) for key in MOMENTS}
    evidence: dict[str, Any] = {
        "role": row["usename"],
        "application": row["application_name"],
        "client_address": row["client_address"],
        "idle_seconds": round(row["idle_seconds"], 1),
        "blocks_sessions": row["blocks_sessions"],
        "last_command": row["last_command"],
    }
    return Item({"pid": row["pid"], **moments}, evidence)


def _termination_outcome(
    signal_result: bool | None, row: asyncpg.Record | None, identity: _SessionIdentity
) -> EffectOutcome:
    """Derive the outcome from the acting statement's result and the session's remaining row."""
    if signal_result is not None:
        if row is None:
            return EffectOutcome(ItemState.APPLIED, "ended")
        return EffectOutcome(ItemState.FAILED, f"was signalled, but has not ended after {END_WAIT_MS // 1000} s")
    if row is None:
        return EffectOutcome(ItemState.SKIPPED, "had already ended")
    if (row["xact_start"], row["state_change"]) != identity.since:
        return EffectOutcome(ItemState.SKIPPED, f"has resumed work (now {row['state']})")
    return EffectOutcome(ItemState.SKIPPED, "is now protected or no longer old enough")


def _outcome_of(row: asyncpg.Record | None, busy: bool) -> EffectOutcome:
    if row is None:
        return EffectOutcome(ItemState.APPLIED, "the session has ended")
    if busy:
        return EffectOutcome(ItemState.UNKNOWN, "the session exists, and the statement that ends it is still running")
    return EffectOutcome(ItemState.NOT_APPLIED, "the session still exists")


@asynccontextmanager
async def _open(scope: Scope) -> AsyncIterator[_TerminationSession]:
    async with connect_primary(scope) as server:
        yield _TerminationSession(scope, server.connection, server.may_signal)


def _write_fix(scope: Scope, causes: Sequence[Cause]) -> Fix:
    """Let the server end idle transactions before this remediation would."""
    timeout = sql_duration(min(TIMEOUT, scope.settings.older_than or OLDER_THAN))
    return Fix(
        "The application begins a transaction and then waits, often for another service: let it commit before the call."
        " Until then let the server end such transactions. New sessions follow the setting, so restart the application"
        " or its pool afterwards.",
        "\n".join(
            f"ALTER ROLE {sql_name(role)} SET idle_in_transaction_session_timeout = {timeout};"
            for role in values_of(causes, "role")
        ),
        "sql",
    )


REMEDIATION = Remediation(
    name="terminate_idle_transactions",
    kind="postgres",
    keys=frozenset({"older_than", "protect", "batch"}),
    max_items=10,
    one_effect=False,
    open=_open,
    undo=Undo("none", "A terminated session has rolled back; its client has to connect and begin again."),
    permanent_fix=PermanentFix(_write_fix, names=("role",), traits=("application",)),
    past_size=PastSize(
        found='sum by (stack, target) (pg_connections{state="idle in transaction"})',
        population="sum by (stack, target) (pg_connections)",
        note="counts every session idle in a transaction, also one that is younger than older_than or protected",
    ),
    words=ActWords("Terminate", "terminated", "session", "sessions"),
)
