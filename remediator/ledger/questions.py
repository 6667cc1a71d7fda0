"""The questions of operators: a plan that was shown, kept until it is confirmed once or too old."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.schema import question
from remediator.model.cuts import cut_values
from remediator.model.episode_key import EpisodeKey
from remediator.model.errors import WrongState
from remediator.model.remediation import Item, Plan


@dataclass(frozen=True)
class Question:
    """A row of the table; `parameters` holds the texts of the values."""

    id: int
    stack: str
    remediation: str
    target: str
    parameters: Mapping[str, str]
    undoes: int | None
    reason: str
    operator: str
    asked_at: datetime
    expires_at: datetime
    plan: Mapping[str, Any]
    plan_hash: str
    used_at: datetime | None
    run: int | None

    @property
    def key(self) -> EpisodeKey:
        """The identity of the episode that a confirmation opens or joins."""
        return EpisodeKey(self.stack, self.remediation, self.target)

    def shown_plan(self) -> Plan:
        """Return the plan that the operator was shown."""
        items = tuple(Item(each["identity"], each["evidence"]) for each in self.plan["items"])
        return Plan(items, self.plan["found"], self.plan["population"], self.plan["evidence"])


async def insert_question(connection: AsyncConnection, key: EpisodeKey, plan: Plan, **columns: Any) -> Question:
    """Store a question with its plan."""
    items = [{"identity": dict(each.identity), "evidence": cut_values(each.evidence)} for each in plan.items]
    stored_plan = {
        "items": items,
        "found": plan.found,
        "population": plan.population,
        "evidence": cut_values(plan.evidence),
    }
    names = {"stack": key.stack, "remediation": key.remediation, "target": key.target}
    result = await connection.execute(insert(question).values(**names, plan=stored_plan, **columns))
    assert result.inserted_primary_key is not None  # noqa: S101 - an insert of one row always has one
    stored_question = await get_or_none(connection, int(result.inserted_primary_key[0]))
    assert stored_question is not None  # noqa: S101 - it was just inserted
    return stored_question


async def get_or_none(connection: AsyncConnection, identifier: int) -> Question | None:
    """Return the question with this number, or None."""
    row = (await connection.execute(select(question).where(question.c.id == identifier))).one_or_none()
    return None if row is None else Question(**row._mapping)


async def use(connection: AsyncConnection, asked: Question, run: int, now: datetime) -> None:
    """Mark a question as used by `run`: of two confirmations, one succeeds.

    Raises:
        WrongState: it has been used since it was read.
    """
    is_unused = question.c.id == asked.id, question.c.used_at.is_(None)
    result = await connection.execute(update(question).where(*is_unused).values(used_at=now, run=run))
    if result.rowcount != 1:
        raise WrongState(f"question {asked.id} has been confirmed; ask again")
