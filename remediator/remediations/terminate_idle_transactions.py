"""Ends sessions that hold a transaction open and do nothing with it.

Source: the PMCRM runbook, "Common Incidents > Database Connection Issues" (idle in transaction for five minutes). Its
statement reaches every database, superusers and the leader of a parallel pg_dump; this one does not.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from remediator.clients.postgres import BACKUPS, answering, application_name
from remediator.clients.primary import primary
from remediator.clients.sql_files import named_statements
from remediator.model.remediation import Item, ItemState, Outcome, Plan, Remediation, Scope, Verdict

OLDER_THAN = timedelta(minutes=5)
PLAN_SECONDS = 8.0
END_WAIT_MS = 5_000  # a backend ends within milliseconds unless the host is in trouble
MAX_LISTED = 1_000  # sessions in one plan; how many there are is counted beyond it
LOOKS = 6
LOOK_EVERY_SECONDS = 0.5

# A dump's leader idles in its transaction while parallel workers copy.
NEVER = (*BACKUPS, "runbook%")


def _statements() -> Mapping[str, str]:
    """Planning and acting use one text for what may be ended."""
    statements = named_statements(__package__, "terminate_idle_transactions.sql")
    return {name: text.replace("{candidates}", statements["candidates"]) for name, text in statements.items()}


SQL = _statements()


@dataclass(frozen=True)
class _Identity:
    """What makes a session the one that was planned: its process, and the very idleness it was planned for."""

    pid: int
    backend_start: datetime
    xact_start: datetime
    state_change: datetime

    @classmethod
    def of(cls, item: Item) -> "_Identity":
        pid, *moments = (item.identity[key] for key in ("pid", "backend_start", "xact_start", "state_change"))
        return cls(int(str(pid)), *(datetime.fromisoformat(str(moment)) for moment in moments))

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
class _Sessions:
    """The hands of this remediation on one server; only the database of `admin_dsn` is ever looked at."""

    scope: Scope
    connection: asyncpg.Connection
    may_signal: bool

    @property
    def effect_timeout(self) -> timedelta:
        return timedelta(milliseconds=2 * END_WAIT_MS)

    async def plan(self) -> Plan:
        with answering(self.scope):
            async with asyncio.timeout(PLAN_SECONDS):
                rows = await self.connection.fetch(SQL["plan"], *self._exclusions(), MAX_LISTED)
                backends = await self.connection.fetchval(SQL["client_backends"])
        found = rows[0]["found"] if rows else 0
        return Plan(tuple(map(_item, rows)), found, population=backends, evidence={"may_signal": self.may_signal})

    async def apply(self, items: Sequence[Item]) -> Sequence[Outcome]:
        return [await self._end(_Identity.of(item)) for item in items]

    async def settle(self, items: Sequence[Item]) -> Sequence[Outcome]:
        """The signal may still be on its way, so look a few times before saying that nothing happened."""
        identities = [_Identity.of(item) for item in items]
        with answering(self.scope):
            for _ in range(LOOKS):
                rows = [await self._row(identity) for identity in identities]
                busy = await self._at_work()
                if not busy and all(row is None for row in rows):
                    break
                await asyncio.sleep(LOOK_EVERY_SECONDS)
        return [_settled(row, busy) for row in rows]

    async def look_again(self, applied: Sequence[Item]) -> Verdict:
        """Without `batch` no candidate may be left; with it, none of those that were ended."""
        plan = await self.plan()
        with answering(self.scope):
            left = [item for item in applied if await self._row(_Identity.of(item)) is not None]
        clean = not left and (plan.found == 0 or self.scope.settings.batch is not None)
        return Verdict(clean, {"found": plan.found, "applied": len(applied), "applied_still_there": len(left)})

    async def _end(self, identity: _Identity) -> Outcome:
        arguments = (*self._exclusions(), *identity.all, END_WAIT_MS)
        with answering(self.scope):
            try:
                ended = await self.connection.fetchval(SQL["end_one"], *arguments)
            except asyncpg.InsufficientPrivilegeError as error:
                return Outcome(ItemState.FAILED, f"{error}; GRANT pg_signal_backend to the role of admin_dsn")
            row = await self._row(identity)
        return _ended(ended, row, identity)

    async def _row(self, identity: _Identity) -> asyncpg.Record | None:
        return await self.connection.fetchrow(SQL["remains"], *identity.process)

    async def _at_work(self) -> bool:
        return bool(await self.connection.fetchval(SQL["at_work"], application_name(self.scope.run)))

    def _exclusions(self) -> tuple[timedelta, Sequence[str], Sequence[str], Sequence[str]]:
        settings = self.scope.settings
        older_than = OLDER_THAN if settings.older_than is None else settings.older_than
        return older_than, settings.protect.roles, settings.protect.applications, NEVER


def _item(row: asyncpg.Record) -> Item:
    moments = {key: _text(row[key]) for key in ("backend_start", "xact_start", "state_change")}
    evidence: dict[str, Any] = {
        "role": row["usename"],
        "application": row["application_name"],
        "client_address": row["client_address"],
        "idle_seconds": round(row["idle_seconds"], 1),
        "blocks_sessions": row["blocks_sessions"],
        "last_command": row["last_command"],
    }
    return Item({"pid": row["pid"], **moments}, evidence)


def _text(moment: datetime) -> str:
    # PostgreSQL counts microseconds; all of them are needed to recognise the same moment again.
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _ended(ended: bool | None, row: asyncpg.Record | None, identity: _Identity) -> Outcome:
    """What the acting statement's answer and the row that is left of the session say together."""
    if ended is not None:
        if row is None:
            return Outcome(ItemState.APPLIED, "ended")
        return Outcome(ItemState.FAILED, f"was told to end, but is still there after {END_WAIT_MS // 1000} s")
    if row is None:
        return Outcome(ItemState.SKIPPED, "had ended by itself")
    if (row["xact_start"], row["state_change"]) != identity.since:
        return Outcome(ItemState.SKIPPED, f"has gone on working (now {row['state']})")
    return Outcome(ItemState.SKIPPED, "is protected or not old enough by now")


def _settled(row: asyncpg.Record | None, busy: bool) -> Outcome:
    if row is None:
        return Outcome(ItemState.APPLIED, "the session is gone")
    if busy:
        return Outcome(ItemState.UNKNOWN, "the session is there, and the statement that ends it has not answered")
    return Outcome(ItemState.NOT_APPLIED, "the session is still there")


@asynccontextmanager
async def _open(scope: Scope) -> AsyncIterator[_Sessions]:
    async with primary(scope) as server:
        yield _Sessions(scope, server.connection, server.may_signal)


REMEDIATION = Remediation(
    name="terminate_idle_transactions",
    kind="postgres",
    keys=frozenset({"older_than", "protect", "batch"}),
    max_items=10,
    one_effect=False,
    open=_open,
)
