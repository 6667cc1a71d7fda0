"""Writes a ledger as it is after years of use.

It has 400 days of runs, 30 days of deliveries and an intact audit trail. It inserts in bulk without a sync, for speed.
The remediator's own code creates the tables, so a change of the schema fails here.
"""

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

from remediator.ledger import audit
from remediator.ledger.address import ledger_at
from remediator.ledger.schema import to_microseconds
from remediator.model.clock import rfc3339

STACKS = ("clientforge", "learnspace", "papertrail", "shopfront", "workbench")
REMEDIATION = "terminate_idle_transactions"
RUN_AGE, BODY_AGE = timedelta(days=399), timedelta(days=29)
BODY_BYTES = 4_500  # the size of a delivery with a few alerts and their annotations
# The audit events of a run that succeeds, after its episode opened.
EVENTS = ("planned", "prechecked", "admitted", "executing", "intended", "settled", "verifying", "succeeded")
TableRow = tuple[Any, ...]


@dataclass(frozen=True)
class Size:
    """The number of rows. Each run has its own episode and ten rows in the audit trail."""

    runs: int
    deliveries: int
    messages: int
    still_open: int


LARGE = Size(runs=100_000, deliveries=300_000, messages=60_000, still_open=1_000)


def target_of(number: int) -> tuple[str, str]:
    """Return the stack and canonical name of target `number`, one per open episode."""
    stack = STACKS[number % len(STACKS)]
    return stack, f"{stack}/postgres/db{number // len(STACKS)}"


def write_ledger(file: Path, size: Size) -> str:
    """Write the ledger to `file`; return the head of its audit trail."""
    asyncio.run(_tables(file))
    now = datetime.now(UTC).replace(microsecond=0)
    trail = AuditTrail()
    with sqlite3.connect(file) as ledger:
        ledger.execute("PRAGMA synchronous = OFF")
        _insert(ledger, "episode", _episodes(size, now))
        _insert(ledger, "run", _runs(size, now))
        _insert(ledger, "item", _items(size, now))
        _insert(ledger, "audit", trail.rows(size, now))
        _insert(ledger, "delivery", _deliveries(size, now))
        _insert(ledger, "outbox", _messages(size, now))
        _insert(ledger, "tally", _tallies(size, now))
        _insert(
            ledger,
            "resolution",
            ((f"{number:016x}", _microseconds(now), _microseconds(now)) for number in range(2_000)),
        )
    ledger.close()
    return trail.head


async def _tables(file: Path) -> None:
    async with ledger_at(f"sqlite:///{file}").open():
        pass


def _insert(ledger: sqlite3.Connection, table: str, rows: Iterable[TableRow]) -> None:
    """Insert rows with a value for the first columns, in the table's order; later ones get their default."""
    iterator = iter(rows)
    first = next(iterator)
    names = [row[1] for row in ledger.execute(f"PRAGMA table_info({table})")][: len(first)]
    statement = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608
    ledger.executemany(statement, chain([first], iterator))
    ledger.commit()


def _microseconds(moment: datetime) -> int:
    return to_microseconds(moment)


def _planned_at(size: Size, now: datetime, number: int) -> datetime:
    """Return the time at which run `number` was planned; runs of open episodes are recent."""
    return now - RUN_AGE * (1 - number / size.runs) if number < size.runs else now - timedelta(minutes=2)


def _alerts(number: int) -> str:
    labels = {"alertname": "IdleInTransactionTooLong", "severity": "warning", "stack": target_of(number)[0]}
    entry = {"labels": labels, "annotations": {"summary": "x" * 80, "description": "x" * 240}, "started": 0}
    return json.dumps({f"{number:016x}": entry})


def _episodes(size: Size, now: datetime) -> Iterator[TableRow]:
    for number in range(size.runs + size.still_open):
        stack, name = target_of(number if number < size.runs else number - size.runs)
        began = _planned_at(size, now, number)
        ended_at = began + timedelta(minutes=3) if number < size.runs else None
        times = (
            _microseconds(began),
            _microseconds(began),
            _microseconds(began),
            _microseconds(began),
            ended_at and _microseconds(ended_at),
            ended_at and "resolved",
        )
        yield number + 1, stack, REMEDIATION, name, *times, _alerts(number)


def _runs(size: Size, now: datetime) -> Iterator[TableRow]:
    evidence = {"bounds": {"refused_by": {}, "deferred_by": {}}, "plan": {"oldest": 300}, "proof": {"clean": True}}
    for number in range(size.runs + size.still_open):
        stack, name = target_of(number if number < size.runs else number - size.runs)
        began = _planned_at(size, now, number)
        acted = number < size.runs
        state, reason = ("succeeded", "") if acted else ("refused", "mode_off")
        ended_at = _microseconds(began + timedelta(minutes=1))
        about = (number + 1, number + 1, stack, REMEDIATION, name, state, reason, 1, _microseconds(began), ended_at)
        admitted = _microseconds(began) if acted else None
        yield *about, admitted, None, None, None, None, 2, 100, "f" * 64, json.dumps(evidence)


def _items(size: Size, now: datetime) -> Iterator[TableRow]:
    for number in range(size.runs):
        at = _microseconds(_planned_at(size, now, number))
        for position in range(2):
            identity = json.dumps({"pid": number, "backend_start": at, "state_change": at})
            evidence = json.dumps({"role": "app", "idle": 301, "application": "api"})
            yield 2 * number + position + 1, number + 1, position, identity, evidence, "applied", "", at, at


class AuditTrail:
    """Rows chained by their hashes, as `audit.append` writes them."""

    def __init__(self) -> None:
        self.head = audit.GENESIS
        self._id = 0

    def rows(self, size: Size, now: datetime) -> Iterator[TableRow]:
        """Yield the rows of all runs and episodes."""
        for number in range(size.runs + size.still_open):
            at, run = _planned_at(size, now, number), number + 1
            yield self._row(at, None, "episode_opened", {"stack": target_of(number)[0]})
            for event in EVENTS if number < size.runs else ("planned", "refused"):
                yield self._row(at, run, event, {"items": [0]} if event == "intended" else {})
            if number < size.runs:
                yield self._row(at + timedelta(minutes=3), None, "episode_resolved", {"episode": run})

    def _row(self, at: datetime, run: int | None, event: str, detail: dict[str, Any]) -> TableRow:
        content = [self.head, rfc3339(at), run, event, "remediator", detail]
        self.head = hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
        self._id += 1
        return self._id, _microseconds(at), run, event, "remediator", json.dumps(detail), self.head


def _deliveries(size: Size, now: datetime) -> Iterator[TableRow]:
    for number in range(size.deliveries):
        at = _microseconds(now - BODY_AGE * (1 - number / size.deliveries))
        yield number + 1, at, b'{"version": "4"}'.ljust(BODY_BYTES), at


def _messages(size: Size, now: datetime) -> Iterator[TableRow]:
    """Yield three messages per episode, for the open episodes and the last that ended."""
    numbers = range(size.runs + size.still_open - size.messages // 3, size.runs + size.still_open)
    for place, number in enumerate(numbers):
        at = _microseconds(now - BODY_AGE * (1 - place / len(numbers)) if number < size.runs else now)
        for nth, reason in enumerate(("refused/mode_off", "failed/target_unreachable", "expired/window")):
            key = f"{number + 1}/{reason}"
            yield 3 * place + nth + 1, number + 1, key, "oncall", at, "a title", "x" * 1_500, 1, at, at


def _tallies(size: Size, now: datetime) -> Iterator[TableRow]:
    for number in range(size.still_open):
        stack, name = target_of(number)
        for place, (state, reason) in enumerate((("succeeded", ""), ("refused", "mode_off"))):
            identifier = 2 * number + place + 1
            yield identifier, stack, REMEDIATION, name, state, reason, 100, 100, 60.0, _microseconds(now)
