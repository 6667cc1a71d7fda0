"""Cancels queries that have been running for too long.

Sources: the PMCRM runbook, "Incident: Slow Queries" (five minutes), and the Formula PM runbook, "High Database Load"
(30 minutes, "if necessary"). Their statements end the session at once, and with it idle pool connections, replication,
autovacuum and dumps. This remediation cancels the query first, spares everything that is slow by nature, and leaves
alone who merely waits for a lock: it names the session that holds it.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from remediator.clients.postgres import translate_errors
from remediator.clients.primary import connect_primary, is_at_work
from remediator.clients.sessions import format_moment, load_session_statements, protection, read_moments, read_pid
from remediator.clients.sql_commands import AROUND_ROWS, MAINTENANCE, ROWS, calls_backup_function, commands
from remediator.model.act_words import ActWords
from remediator.model.parameters import DurationParameter
from remediator.model.permanent_fix import Cause, Fix, values_of
from remediator.model.quoting import sql_duration, sql_name
from remediator.model.remediation import (
    EffectOutcome,
    Item,
    ItemState,
    PermanentFix,
    Plan,
    Remediation,
    Scope,
    Undo,
    Verdict,
)

OLDER_THAN = timedelta(minutes=5)
PLAN_SECONDS = 8.0
CANCEL_SECONDS = 8.0  # a query notices the signal within milliseconds, unless it is in a loop without a check for it
POLL_SECONDS = 0.1
END_WAIT_MS = 5_000
MAX_LISTED = 1_000
MAX_BLOCKERS = 20
OUTCOME_READINGS = 6
OUTCOME_POLL_SECONDS = 0.5
MOMENTS = ("backend_start", "query_start")
# If only such queries are left, something is wrong that this remediation cannot fix. The first one present is named.
NOTIFIED = ("waits_for_lock", "waits_for_standby", "other_command")

SQL = load_session_statements(__package__, "cancel_long_queries.sql")


@dataclass(frozen=True)
class _QueryIdentity:
    """The identity of a planned query: the process that runs it, and when it began."""

    pid: int
    backend_start: datetime
    query_start: datetime

    @classmethod
    def of(cls, item: Item) -> "_QueryIdentity":
        return cls(read_pid(item), *read_moments(item, *MOMENTS))

    @property
    def all(self) -> tuple[int, datetime, datetime]:
        return self.pid, self.backend_start, self.query_start


@dataclass(frozen=True)
class _CancelSession:
    """A session of this remediation on the database of `admin_dsn`."""

    scope: Scope
    connection: asyncpg.Connection
    may_signal: bool

    @property
    def effect_timeout(self) -> timedelta:
        return timedelta(seconds=CANCEL_SECONDS, milliseconds=END_WAIT_MS) + timedelta(seconds=10)

    async def plan(self) -> Plan:
        with translate_errors(self.scope):
            async with asyncio.timeout(PLAN_SECONDS):
                rows = await self.connection.fetch(SQL["plan"], *self._exclusions(), MAX_LISTED)
                backends = await self.connection.fetchval(SQL["client_backends"])
                by_reason = [(row["left_out"] or _reason_to_leave_out(row["query"]), row) for row in rows]
                blockers = await self._blockers([row["pid"] for reason, row in by_reason if reason == "waits_for_lock"])
        items = tuple(_item(row) for reason, row in by_reason if not reason)
        left_out = Counter(reason for reason, _ in by_reason if reason)
        evidence = {"may_signal": self.may_signal, "left_out": dict(left_out), "blockers": blockers}
        empty_reason = "" if items else next((reason for reason in NOTIFIED if left_out[reason]), "")
        return Plan(items, len(items), backends, evidence, empty_reason)

    async def apply(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        return [await self._end(_QueryIdentity.of(item)) for item in items]

    async def resolve_outcome(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        """See RemediationSession. The signal may not have arrived yet, so read several times."""
        identities = [_QueryIdentity.of(item) for item in items]
        with translate_errors(self.scope):
            for _ in range(OUTCOME_READINGS):
                running = [await self._is_running(identity) for identity in identities]
                busy = await is_at_work(self.connection, self.scope)
                if not busy and not any(running):
                    break
                await asyncio.sleep(OUTCOME_POLL_SECONDS)
        return [_outcome_of(each, busy) for each in running]

    async def verify(self, items: Sequence[Item]) -> Verdict:
        """See RemediationSession.

        Clean if none of `items` is running. A query that has become too old since the plan is the next run's.
        """
        plan = await self.plan()
        with translate_errors(self.scope):
            running = [item for item in items if await self._is_running(_QueryIdentity.of(item))]
        evidence = {"found": plan.found, "applied": len(items), "applied_still_running": len(running)}
        return Verdict(not running, evidence)

    async def _end(self, identity: _QueryIdentity) -> EffectOutcome:
        with translate_errors(self.scope):
            try:
                return await self._cancel(identity)
            except asyncpg.InsufficientPrivilegeError as error:
                return EffectOutcome(ItemState.FAILED, f"{error}; GRANT pg_signal_backend to the role of admin_dsn")

    async def _cancel(self, identity: _QueryIdentity) -> EffectOutcome:
        signalled = await self.connection.fetchval(SQL["cancel_one"], *self._exclusions(), *identity.all)
        if signalled is None:
            return await self._skip(identity)
        if await self._ends_within(identity, CANCEL_SECONDS):
            return EffectOutcome(ItemState.APPLIED, "cancelled")
        if self.scope.settings.terminate:
            return await self._terminate(identity)
        remedy = "end its session by hand, or set terminate: true"
        return EffectOutcome(
            ItemState.FAILED, f"was cancelled, but is still running after {CANCEL_SECONDS:.0f} s; {remedy}"
        )

    async def _terminate(self, identity: _QueryIdentity) -> EffectOutcome:
        """End the session of a query that ignored the cancellation, if it is still the planned query."""
        arguments = (*self._exclusions(), *identity.all, END_WAIT_MS)
        signalled = await self.connection.fetchval(SQL["terminate_one"], *arguments)
        if not await self._is_running(identity):
            return EffectOutcome(ItemState.APPLIED, "cancelled" if signalled is None else "its session was ended")
        if signalled is None:
            return EffectOutcome(ItemState.FAILED, "was cancelled, is still running, and must no longer be ended")
        return EffectOutcome(ItemState.FAILED, f"was signalled, but has not ended after {END_WAIT_MS // 1000} s")

    async def _skip(self, identity: _QueryIdentity) -> EffectOutcome:
        if await self._is_running(identity):
            return EffectOutcome(ItemState.SKIPPED, "is now protected, waiting, or no longer old enough")
        return EffectOutcome(ItemState.SKIPPED, "had already ended")

    async def _ends_within(self, identity: _QueryIdentity, seconds: float) -> bool:
        deadline = asyncio.get_running_loop().time() + seconds
        while await self._is_running(identity):
            if asyncio.get_running_loop().time() >= deadline:
                return False
            await asyncio.sleep(POLL_SECONDS)
        return True

    async def _is_running(self, identity: _QueryIdentity) -> bool:
        return bool(await self.connection.fetchval(SQL["still_running"], *identity.all))

    async def _blockers(self, waiting: Sequence[int]) -> list[Mapping[str, Any]]:
        rows = await self.connection.fetch(SQL["blockers"], waiting, MAX_BLOCKERS) if waiting else []
        return [_blocker(row) for row in rows]

    def _exclusions(self) -> tuple[timedelta, Sequence[str], Sequence[str], Sequence[str]]:
        settings = self.scope.settings
        older_than = self.scope.parameters.get("older_than", settings.older_than)
        return (older_than if isinstance(older_than, timedelta) else OLDER_THAN), *protection(settings.protect)


def _reason_to_leave_out(text: str) -> str:
    """Return why a query must not be touched because of its commands, or an empty string."""
    found = set(commands(text))
    if found & MAINTENANCE or calls_backup_function(text):
        return "maintenance"
    return "" if found & ROWS and found <= ROWS | AROUND_ROWS else "other_command"


def _item(row: asyncpg.Record) -> Item:
    evidence = {
        "role": row["usename"],
        "application": row["application_name"],
        "client_address": row["client_address"],
        "running_seconds": round(row["running_seconds"], 1),
        "waits_for": row["wait_event_type"],
        "blocks_sessions": row["blocks_sessions"],
        "command": next(command for command in commands(row["query"]) if command in ROWS),
    }
    return Item({"pid": row["pid"], **{key: format_moment(row[key]) for key in MOMENTS}}, evidence)


def _blocker(row: asyncpg.Record) -> Mapping[str, Any]:
    if row["pid"] == 0:
        return {"pid": 0, "state": "prepared transaction"}
    seconds = row["transaction_seconds"]
    return {
        "pid": row["pid"],
        "role": row["usename"],
        "application": row["application_name"],
        "client_address": row["client_address"],
        "state": row["state"],
        "transaction_seconds": None if seconds is None else round(seconds, 1),
    }


def _outcome_of(running: bool, busy: bool) -> EffectOutcome:
    if not running:
        return EffectOutcome(ItemState.APPLIED, "the query has ended")
    if busy:
        return EffectOutcome(ItemState.UNKNOWN, "the query is running, and so is the statement that ends it")
    return EffectOutcome(ItemState.NOT_APPLIED, "the query is still running")


@asynccontextmanager
async def _open(scope: Scope) -> AsyncIterator[_CancelSession]:
    async with connect_primary(scope) as server:
        yield _CancelSession(scope, server.connection, server.may_signal)


def _write_fix(scope: Scope, causes: Sequence[Cause]) -> Fix:
    """Let the server cancel queries at the age at which this remediation would."""
    timeout = sql_duration(scope.settings.older_than or OLDER_THAN)
    return Fix(
        "Find the statement (pg_stat_statements, EXPLAIN) and give it an index or less to read. Until then let the"
        " server cancel it, after reports and migrations have roles of their own. New sessions follow the setting.",
        "\n".join(
            f"ALTER ROLE {sql_name(role)} SET statement_timeout = {timeout};" for role in values_of(causes, "role")
        ),
        "sql",
    )


REMEDIATION = Remediation(
    name="cancel_long_queries",
    kind="postgres",
    keys=frozenset({"older_than", "protect", "batch", "terminate"}),
    max_items=5,
    one_effect=False,
    open=_open,
    undo=Undo("none", "A cancelled query has rolled back its transaction; its client has to begin again."),
    permanent_fix=PermanentFix(_write_fix, names=("role",), traits=("application", "command")),
    parameters={
        "older_than": DurationParameter(
            "the age from which a query is cancelled", timedelta(seconds=10), timedelta(days=7)
        )
    },
    words=ActWords("Cancel", "cancelled", "query", "queries"),
)
