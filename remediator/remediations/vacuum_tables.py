"""Vacuums tables with many dead rows, or that were not vacuumed for long, one at a time.

Sources: the PMCRM runbook, "Incident: Slow Queries" and "Vacuuming Strategy"; the Formula PM runbook, "Monthly
Maintenance"; the Life Platform runbook, "Database Maintenance". Some of them also run VACUUM FULL, which locks and
rewrites a table; this remediation never does.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg

from remediator.clients.known_applications import BACKUPS
from remediator.clients.postgres import translate_errors
from remediator.clients.primary import connect_primary, is_at_work
from remediator.clients.sessions import format_moment
from remediator.clients.tables import (
    MAINTAIN_VERSION,
    OWNS,
    autovacuum_statements,
    load_table_statements,
    maintain_remedy,
    may_maintain,
)
from remediator.model.act_words import ActWords
from remediator.model.clock import SystemClock
from remediator.model.errors import RunRefused, TargetUnreachable
from remediator.model.permanent_fix import Cause, Fix
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
from remediator.model.windows import end_after
from runbookd.inventory import Mode

# Twice autovacuum's default threshold: autovacuum has not kept up with tables beyond it.
DEAD_SHARE = 0.4
DEAD_ROWS = 1_000
OLDER_THAN = timedelta(days=7)  # Life Platform runbook, "Database Maintenance"
MAX_BYTES = 50 * 2**30
PLAN_SECONDS = 8.0
VACUUM_SECONDS = 1_800.0
SHORTEST_SECONDS = 10.0  # a window that ends sooner leaves no time for a table
COUNT_SECONDS = 5.0  # before PostgreSQL 15, the counters of a statement arrive after it
COUNT_POLL_SECONDS = 0.2
MAX_LISTED = 1_000
OUTCOME_READINGS = 10
OUTCOME_POLL_SECONDS = 0.5
# A statement whose client has gone ends within a second. The pace is autovacuum's, in one process.
SETTINGS = """
    SET client_connection_check_interval = '1s';
    SET vacuum_cost_delay = '2ms';
    SET max_parallel_maintenance_workers = 0;
"""
TOO_WIDE = "role_too_wide"

SQL = load_table_statements(__package__, "vacuum_tables.sql")
clock = SystemClock()


@dataclass(frozen=True)
class _VacuumSession:
    """A session of this remediation on the database of `admin_dsn`."""

    scope: Scope
    connection: asyncpg.Connection
    role: str
    version: int

    @property
    def effect_timeout(self) -> timedelta:
        return timedelta(seconds=VACUUM_SECONDS + COUNT_SECONDS + 15)

    async def plan(self) -> Plan:
        self._require_maintain()
        with translate_errors(self.scope):
            async with asyncio.timeout(PLAN_SECONDS):
                backup = await self.connection.fetchval(SQL["backup"], BACKUPS)
                rows = await self.connection.fetch(self._candidates(), *self._limits(), MAX_LISTED)
                population = await self.connection.fetchval(SQL["population"])
        left_out = {row["left_out"]: row["found"] for row in rows if row["left_out"]}
        items = tuple(_item(row) for row in rows if not row["left_out"])
        if not items:
            self._require_rights(rows)
        total = next((row["found"] for row in rows if not row["left_out"]), 0)
        if items and backup:
            return Plan((), 0, population, {"backup": backup[:100]}, empty_reason="backup_running")
        empty_reason = "too_large" if "too_large" in left_out and not items else ""
        return Plan(items, total, population, {"left_out": left_out}, empty_reason)

    async def apply(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        return [await self._vacuum(item) for item in items]

    async def resolve_outcome(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        """See RemediationSession.

        An interrupted VACUUM ends within a second or two, so read several times.
        """
        with translate_errors(self.scope):
            for _ in range(OUTCOME_READINGS):
                busy = await is_at_work(self.connection, self.scope)
                if not busy:
                    break
                await asyncio.sleep(OUTCOME_POLL_SECONDS)
            return [_outcome_of(item, await self._state(item), busy=busy) for item in items]

    async def verify(self, items: Sequence[Item]) -> Verdict:
        """See RemediationSession.

        Clean if each table was vacuumed since the plan, and its dead rows are gone: an old transaction keeps them.
        """
        with translate_errors(self.scope):
            states = Counter([_state_word(item, await self._state(item)) for item in items])
        return Verdict(states.total() == states["vacuumed"], dict(states))

    async def _vacuum(self, item: Item) -> EffectOutcome:
        with translate_errors(self.scope):
            name = await self.connection.fetchval(SQL["name"], item.identity["oid"])
            state = await self._state(item)
            if name is None or state is None:
                return EffectOutcome(ItemState.SKIPPED, "has been dropped since it was planned")
            if reason := await self._reason_to_skip(item, name, state):
                return EffectOutcome(ItemState.SKIPPED, reason)
            seconds = self._seconds_left()
            if seconds < SHORTEST_SECONDS:
                return EffectOutcome(ItemState.SKIPPED, f"the window {self.scope.settings.only_in} is about to end")
            return await self._vacuum_within(seconds, item, name, state["count"])

    async def _vacuum_within(self, seconds: float, item: Item, name: str, count: int) -> EffectOutcome:
        """Vacuum one table. The server cancels it after `seconds`, even if this process is gone by then."""
        await self.connection.execute(f"SET statement_timeout = {int(seconds * 1000)}")
        started = asyncio.get_running_loop().time()
        try:
            await self.connection.execute(f"VACUUM (ANALYZE, SKIP_LOCKED) {name}")
        except asyncpg.QueryCanceledError:
            timed_out = asyncio.get_running_loop().time() - started >= seconds - 1
            return self._cancelled(seconds) if timed_out else EffectOutcome(ItemState.FAILED, "was cancelled by hand")
        except asyncpg.UndefinedTableError:
            return EffectOutcome(ItemState.SKIPPED, "has been dropped or renamed since it was planned")
        finally:
            if not self.connection.is_closed():
                await self.connection.execute("RESET statement_timeout")
        # Success alone proves nothing: a table that is locked, or without the right, is skipped with a warning.
        if await self._is_counted(item, count):
            return EffectOutcome(ItemState.APPLIED, "vacuumed and analyzed")
        return EffectOutcome(
            ItemState.SKIPPED,
            "the server skipped it: another session holds a lock on it, or the role has lost its right",
        )

    def _cancelled(self, seconds: float) -> EffectOutcome:
        if seconds < VACUUM_SECONDS:
            detail = f"was cancelled at the end of the window {self.scope.settings.only_in}; its next one starts over"
            return EffectOutcome(ItemState.SKIPPED, detail)
        return EffectOutcome(ItemState.FAILED, f"took longer than {VACUUM_SECONDS:.0f} s; vacuum it by hand")

    async def _reason_to_skip(self, item: Item, name: str, state: asyncpg.Record) -> str:
        """Return why a table must not be vacuumed now; an approved run may start hours after its plan."""
        oid, relfilenode = item.identity["oid"], item.identity["relfilenode"]
        if _vacuumed_since(item, state):
            return "has been vacuumed since it was planned"
        if await self.connection.fetchval(SQL["being_vacuumed"], oid):
            return "autovacuum or another session is vacuuming it"
        if await self.connection.fetchval(SQL["backup"], BACKUPS):
            return "a backup is running"
        row = await self.connection.fetchrow(SQL["same"], name, oid, relfilenode, MAX_BYTES)
        if row is None or not row["same_content"]:
            return "is no longer the planned table, or was truncated or rewritten since"
        return "" if row["small_enough"] else "has grown too large"

    async def _is_counted(self, item: Item, count: int) -> bool:
        """Return whether the server counts one more VACUUM of the table than before."""
        deadline = asyncio.get_running_loop().time() + COUNT_SECONDS
        while True:
            state = await self._state(item)
            if state is None or state["count"] > count:
                return state is not None
            if asyncio.get_running_loop().time() >= deadline:
                return False
            await asyncio.sleep(COUNT_POLL_SECONDS)

    def _seconds_left(self) -> float:
        only_in, now = self.scope.settings.only_in, clock.now()
        if only_in is None:
            return VACUUM_SECONDS
        return min(VACUUM_SECONDS, (end_after(self.scope.stack.windows[only_in], now) - now).total_seconds())

    async def _state(self, item: Item) -> asyncpg.Record | None:
        return await self.connection.fetchrow(SQL["state"], item.identity["oid"])

    def _candidates(self) -> str:
        condition = may_maintain(self.version)
        candidates = SQL["candidates"].replace("{may_maintain}", condition).replace("{owns}", OWNS)
        return SQL["plan"].replace("{candidates}", candidates)

    def _limits(self) -> tuple[float, int, int, timedelta, bool]:
        settings = self.scope.settings
        return DEAD_SHARE, DEAD_ROWS, MAX_BYTES, settings.older_than or OLDER_THAN, settings.mode is Mode.AUTO

    def _require_maintain(self) -> None:
        """Refuse mode auto before PostgreSQL 17, where only the owner may vacuum, who may also drop the table."""
        if self.scope.settings.mode is Mode.AUTO and self.version < MAINTAIN_VERSION:
            raise RunRefused(
                TOO_WIDE,
                f"{self.scope.target}: PostgreSQL {self.version // 10_000} has no MAINTAIN, so the role needs"
                " all rights of the owner; set mode: approve, or upgrade to 17",
            )

    def _require_rights(self, rows: Sequence[asyncpg.Record]) -> None:
        """Raise if the role's rights keep it from the only candidates: an empty plan would look healthy."""
        by_reason = {row["left_out"]: row for row in reversed(rows)}
        if row := by_reason.get("no_right"):
            raise TargetUnreachable(
                f'{self.scope.target}: role "{self.role}" may not vacuum {row["schema"]}.{row["table"]}'
                f" ({row['found']} such tables); {maintain_remedy(self.version, self.role, row['owner'])}"
            )
        if row := by_reason.get(TOO_WIDE):
            raise RunRefused(
                TOO_WIDE,
                f'{self.scope.target}: role "{self.role}" has all rights of "{row["owner"]}", the owner of'
                f' {row["schema"]}.{row["table"]}; REVOKE "{row["owner"]}" FROM "{self.role}", and'
                f" {maintain_remedy(self.version, self.role, row['owner'])}",
            )


def _item(row: asyncpg.Record) -> Item:
    identity = {
        "oid": row["oid"],
        "relfilenode": row["relfilenode"],
        "vacuumed": None if row["vacuumed"] is None else format_moment(row["vacuumed"]),
    }
    evidence = {key: row[key] for key in ("schema", "table", "owner", "dead", "rows", "bytes")}
    return Item(identity, evidence)


def _vacuumed_since(item: Item, state: asyncpg.Record) -> bool:
    planned = item.identity["vacuumed"]
    if state["vacuumed"] is None:
        return False
    return planned is None or state["vacuumed"] > datetime.fromisoformat(str(planned))


def _outcome_of(item: Item, state: asyncpg.Record | None, *, busy: bool) -> EffectOutcome:
    if state is not None and _vacuumed_since(item, state):
        return EffectOutcome(ItemState.APPLIED, "has been vacuumed since the plan")
    if busy:
        return EffectOutcome(ItemState.UNKNOWN, "another session of this run is still at work")
    return EffectOutcome(ItemState.NOT_APPLIED, "has not been vacuumed since the plan")


def _state_word(item: Item, state: asyncpg.Record | None) -> str:
    if state is None or not _vacuumed_since(item, state):
        return "not_vacuumed"
    return "dead_rows_kept" if state["dead"] >= max(DEAD_ROWS, DEAD_SHARE * max(state["rows"], 1)) else "vacuumed"


@asynccontextmanager
async def _open(scope: Scope) -> AsyncIterator[_VacuumSession]:
    async with connect_primary(scope) as server:
        with translate_errors(scope):
            await server.connection.execute(SETTINGS)
        yield _VacuumSession(scope, server.connection, server.role, server.version)


def _write_fix(_scope: Scope, causes: Sequence[Cause]) -> Fix:
    """Let autovacuum do it before this remediation would."""
    return Fix(
        "Let autovacuum take these tables earlier: at half the dead rows that were found here. If dead rows stay after"
        " a VACUUM, an old transaction or a replication slot keeps them; end that instead.",
        autovacuum_statements(causes, "vacuum", "dead"),
        "sql",
    )


REMEDIATION = Remediation(
    name="vacuum_tables",
    kind="postgres",
    keys=frozenset({"older_than", "batch"}),
    max_items=20,
    one_effect=False,
    open=_open,
    undo=Undo("none", "VACUUM only frees the space of rows that are already deleted; there is nothing to restore."),
    permanent_fix=PermanentFix(_write_fix, names=("schema", "table"), numbers=("dead",)),
    auto_needs=frozenset({"only_in"}),
    words=ActWords("Vacuum", "vacuumed", "table", "tables"),
)
