"""Refreshes the planner's statistics of tables that changed much or are long unanalyzed.

Sources: ClientForge runbook, "Slow Database Queries" (update statistics) and "Daily Tasks"; Formula PM runbook,
"Database Optimization"; Life Platform runbook, "Database Maintenance". They analyze everything, at any time; this
remediation is bounded: one table at a time, no table in use by another command, never during a backup, never VACUUM
or FULL.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import asyncpg

from remediator.clients.known_applications import BACKUPS
from remediator.clients.postgres import translate_errors
from remediator.clients.primary import connect_primary, is_at_work
from remediator.clients.sessions import format_moment
from remediator.clients.tables import autovacuum_statements, load_table_statements, maintain_remedy, may_maintain
from remediator.model.act_words import ActWords
from remediator.model.errors import TargetUnreachable
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

# Twice autovacuum's default threshold: autovacuum has not kept up with tables beyond it.
MODIFIED_SHARE = 0.2
MODIFIED_ROWS = 1_000
OLDER_THAN = timedelta(hours=24)  # ClientForge runbook, "Daily Tasks"
MAX_BYTES = 100 * 2**30
PLAN_SECONDS = 8.0
ANALYZE_SECONDS = 60
MAX_LISTED = 1_000
OUTCOME_READINGS = 6
OUTCOME_POLL_SECONDS = 0.5

SQL = load_table_statements(__package__, "analyze_tables.sql")


@dataclass(frozen=True)
class _AnalyzeSession:
    """A session of this remediation on the database of `admin_dsn`."""

    scope: Scope
    connection: asyncpg.Connection
    role: str
    version: int

    @property
    def effect_timeout(self) -> timedelta:
        return timedelta(seconds=ANALYZE_SECONDS + 15)

    async def plan(self) -> Plan:
        with translate_errors(self.scope):
            async with asyncio.timeout(PLAN_SECONDS):
                backup = await self.connection.fetchval(SQL["backup"], BACKUPS)
                rows = await self.connection.fetch(self._candidates(), *self._limits(), MAX_LISTED)
                population = await self.connection.fetchval(SQL["population"])
        left_out = {row["left_out"]: row["found"] for row in rows if row["left_out"]}
        items = tuple(_item(row) for row in rows if not row["left_out"])
        if not items:
            self._require_permission([row for row in rows if row["left_out"] == "no_right"])
        total = next((row["found"] for row in rows if not row["left_out"]), 0)
        if items and backup:
            return Plan((), 0, population, {"backup": backup[:100]}, empty_reason="backup_running")
        empty_reason = "too_large" if left_out and not items else ""
        return Plan(items, total, population, {"left_out": left_out}, empty_reason)

    async def apply(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        return [await self._analyze(item) for item in items]

    async def resolve_outcome(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        """See RemediationSession.

        An interrupted ANALYZE may still be running, so read several times.
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

        Clean if each table was analyzed since the plan and is no longer a candidate.
        """
        with translate_errors(self.scope):
            states = Counter([_state_word(item, await self._state(item)) for item in items])
        return Verdict(states.total() == states["analyzed"], dict(states))

    async def _analyze(self, item: Item) -> EffectOutcome:
        """Analyze one table in one transaction, whose lock keeps it the planned table."""
        with translate_errors(self.scope):
            try:
                async with self.connection.transaction():
                    return await self._analyze_locked(item)
            except asyncpg.LockNotAvailableError:
                return EffectOutcome(ItemState.SKIPPED, "another session is vacuuming, analyzing or altering it")
            except asyncpg.UndefinedTableError:
                return EffectOutcome(ItemState.SKIPPED, "has been dropped or renamed since it was planned")
            except asyncpg.QueryCanceledError:
                return EffectOutcome(ItemState.FAILED, f"took longer than {ANALYZE_SECONDS} s")
            except asyncpg.InsufficientPrivilegeError as error:
                return EffectOutcome(
                    ItemState.FAILED,
                    f"{error}; {maintain_remedy(self.version, self.role, str(item.evidence['owner']))}",
                )

    async def _analyze_locked(self, item: Item) -> EffectOutcome:
        oid, relfilenode = item.identity["oid"], item.identity["relfilenode"]
        name = await self.connection.fetchval(SQL["name"], oid)
        if name is None:
            return EffectOutcome(ItemState.SKIPPED, "has been dropped since it was planned")
        if (state := await self._state(item)) is not None and _analyzed_since(item, state):
            return EffectOutcome(ItemState.SKIPPED, "has been analyzed since it was planned")
        # Without waiting: a session that waits a second for a lock makes autovacuum cancel its work.
        await self.connection.execute(f"LOCK TABLE ONLY {name} IN SHARE UPDATE EXCLUSIVE MODE NOWAIT")
        row = await self.connection.fetchrow(SQL["same"], name, oid, relfilenode, MAX_BYTES)
        if row is None or not row["same_content"]:
            return EffectOutcome(
                ItemState.SKIPPED, "is no longer the planned table, or was truncated or rewritten since"
            )
        if not row["small_enough"]:
            return EffectOutcome(ItemState.SKIPPED, "has grown too large")
        # Checked before each table, not only in the plan: an approved run may start hours later.
        if await self.connection.fetchval(SQL["backup"], BACKUPS):
            return EffectOutcome(ItemState.SKIPPED, "a backup is running")
        await self.connection.execute(f"SET LOCAL statement_timeout = '{ANALYZE_SECONDS}s'")
        await self.connection.execute(f"ANALYZE {name}")
        return EffectOutcome(ItemState.APPLIED, "analyzed")

    async def _state(self, item: Item) -> asyncpg.Record | None:
        return await self.connection.fetchrow(SQL["state"], item.identity["oid"])

    def _candidates(self) -> str:
        candidates = SQL["candidates"].replace("{may_maintain}", may_maintain(self.version))
        return SQL["plan"].replace("{candidates}", candidates)

    def _limits(self) -> tuple[float, int, int, timedelta]:
        return MODIFIED_SHARE, MODIFIED_ROWS, MAX_BYTES, self.scope.settings.older_than or OLDER_THAN

    def _require_permission(self, refused_rows: Sequence[asyncpg.Record]) -> None:
        """Raise if the role may not analyze the only candidates: an empty plan would look healthy."""
        if refused_rows:
            first, owner = refused_rows[0], refused_rows[0]["owner"]
            raise TargetUnreachable(
                f'{self.scope.target}: role "{self.role}" may not analyze {first["schema"]}.{first["table"]}'
                f" ({refused_rows[0]['found']} such tables); {maintain_remedy(self.version, self.role, owner)}"
            )


def _item(row: asyncpg.Record) -> Item:
    """Identify a table, its content and its last analyze: a later one means the work is done."""
    analyzed = None if row["analyzed"] is None else format_moment(row["analyzed"])
    identity = {"oid": row["oid"], "relfilenode": row["relfilenode"], "analyzed": analyzed}
    evidence = {
        "schema": row["schema"],
        "table": row["table"],
        "owner": row["owner"],
        "modified": row["modified"],
        "rows": row["rows"],
        "bytes": row["bytes"],
    }
    return Item(identity, evidence)


def _analyzed_since(item: Item, state: asyncpg.Record) -> bool:
    analyzed = state["analyzed"]
    return analyzed is not None and format_moment(analyzed) != item.identity["analyzed"]


def _outcome_of(item: Item, state: asyncpg.Record | None, *, busy: bool) -> EffectOutcome:
    if state is not None and _analyzed_since(item, state):
        return EffectOutcome(ItemState.APPLIED, "has been analyzed since it was planned")
    if busy:
        return EffectOutcome(ItemState.UNKNOWN, "its ANALYZE is still running")
    return EffectOutcome(ItemState.NOT_APPLIED, "has not been analyzed since it was planned")


def _state_word(item: Item, state: asyncpg.Record | None) -> str:
    if state is None:
        return "gone"
    if not _analyzed_since(item, state):
        return "not_analyzed"
    limit = max(MODIFIED_ROWS, MODIFIED_SHARE * max(state["rows"], 1))
    return "modified_again" if state["modified"] >= limit else "analyzed"


@asynccontextmanager
async def _open(scope: Scope) -> AsyncIterator[_AnalyzeSession]:
    async with connect_primary(scope) as server:
        yield _AnalyzeSession(scope, server.connection, server.role, server.version)


def _write_fix(_scope: Scope, causes: Sequence[Cause]) -> Fix:
    """Let autovacuum do it before this remediation would."""
    return Fix(
        "Let autovacuum analyze these tables earlier: at half the modified rows that were found here. Bulk loads should"
        " end with an ANALYZE of their own.",
        autovacuum_statements(causes, "analyze", "modified"),
        "sql",
    )


REMEDIATION = Remediation(
    name="analyze_tables",
    kind="postgres",
    keys=frozenset({"older_than", "batch"}),
    max_items=20,
    one_effect=False,
    open=_open,
    undo=Undo("none", "Former statistics cannot be restored; autovacuum renews them with the next changes."),
    permanent_fix=PermanentFix(_write_fix, names=("schema", "table"), numbers=("modified",)),
    words=ActWords("Analyze", "analyzed", "table", "tables"),
)
