"""The effects that ledgers claim, each once, also if an abandoned ledger has it as well."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chaos.audit.evidence import Evidence
from chaos.audit.ledger_copy import ItemCopy, LedgerCopy

APPLIED = "applied"
_CLAIMED = frozenset({APPLIED, "unknown", "intended"})
"""An abandoned ledger may have ended between an intent and its outcome."""
_NAMES = ("id", "entry", "name")
"""The fields that identify a job, a command and a file."""
EffectKey = tuple[str, str]
"""A remediation, and the name of what it touches."""


@dataclass(frozen=True)
class Claim:
    """An effect that a ledger has as applied, or whose outcome it does not know.

    `intended` is the row of its intent in the trail of the server with the number `server`.
    """

    key: EffectKey
    state: str
    run: int
    server: int
    intended: int


def claims_by_key(evidence: Evidence) -> Mapping[EffectKey, Sequence[Claim]]:
    """Return the claims of the ledger and of the abandoned ones, in the order of their intents.

    An item that two ledgers have was intended once: the later ledger knows more about it.
    """
    claimed: dict[object, Claim | None] = {}
    ledgers = [*(failover.abandoned for failover in evidence.failovers), evidence.ledger]
    for number, ledger in enumerate(ledgers):
        promoted = [len(failover.promoted.trail) for failover in evidence.failovers[:number]]
        claimed.update(_claims(ledger, promoted))
    by_key: dict[EffectKey, list[Claim]] = {}
    for claim in sorted(filter(None, claimed.values()), key=lambda each: (each.server, each.intended)):
        by_key.setdefault(claim.key, []).append(claim)
    return by_key


def _claims(ledger: LedgerCopy, promoted: Sequence[int]) -> Iterator[tuple[object, Claim | None]]:
    """Yield each intended item with its claim; `promoted` are the rows that each earlier failover has kept."""
    remediations = {run.id: run.remediation for run in ledger.runs}
    rows = _intended_rows(ledger)
    for item in ledger.items:
        if item.intended_at is None:
            continue
        claim = None
        if item.state in _CLAIMED:
            row = rows.get((item.run, item.position), 0)
            server = max((number for number, kept in enumerate(promoted, 1) if row > kept), default=0)
            claim = Claim((remediations[item.run], name_of(item)), item.state, item.run, server, row)
        yield item.key, claim


def _intended_rows(ledger: LedgerCopy) -> Mapping[tuple[int, int], int]:
    intents = [row for row in ledger.trail if row.event == "intended"]
    return {(row.run or 0, position): row.id for row in intents for position in row.detail.get("items", ())}


def name_of(item: ItemCopy) -> str:
    """Return the name of what an item touches, as its target records it."""
    identity: Mapping[str, Any] = item.identity
    if "backend_start" in identity:
        return session_name(datetime.fromisoformat(identity["backend_start"]), identity["pid"])
    return next(str(identity[field]) for field in _NAMES if field in identity)


def session_name(backend_start: datetime, pid: int) -> str:
    """Return the identifier of a session in PostgreSQL's log (%c)."""
    return f"{int(backend_start.timestamp()):x}.{pid:x}"
