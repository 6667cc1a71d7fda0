"""Runs that operators start: a question is answered with a plan, and its confirmation runs exactly that plan."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.bounds.bounds import Decision, decide
from remediator.bounds.facts import BoundFacts, gather_facts, query_outside
from remediator.context import Context
from remediator.ledger import audit, effects, episodes, questions, runs
from remediator.ledger.effects import hash_items
from remediator.ledger.episodes import Episode
from remediator.ledger.questions import Question
from remediator.ledger.run_row import Origin
from remediator.ledger.runs import Run
from remediator.ledger.schema import run as table
from remediator.model.episode_key import EpisodeKey
from remediator.model.errors import NoSuchQuestion, NoSuchTarget, TargetUnreachable, WrongState
from remediator.model.parameters import format_parameters, parse_parameters
from remediator.model.remediation import Item, Plan
from remediator.model.run_state import ENDED, RunState
from remediator.model.target import ResolvedTarget, UnresolvedTarget, canonical_target, resolve_target, sanitize
from remediator.runs.exceptions import only_reads
from remediator.runs.planning import PlanFailed, next_state, read_plan
from remediator.runs.run_target import applied_items
from remediator.runs.transitions import transition
from remediator.runs.undos import require_undoable
from runbookd.inventory import Mode

KEPT_FOR = timedelta(minutes=10)
MAX_REASON = 500  # characters


@dataclass(frozen=True)
class Request:
    """The wish of an operator: a remediation on a target with parameters, or the undo of a run."""

    remediation: str = ""
    target: str = ""
    parameters: Mapping[str, str] | None = None
    reason: str = ""
    undoes: int | None = None


@dataclass(frozen=True)
class Answer:
    """A question with its plan and its bounds. `would` is the state that a run would reach now."""

    question: Question
    target: ResolvedTarget
    plan: Plan
    decision: Decision
    facts: BoundFacts
    would: RunState
    reason: str


async def ask(context: Context, operator: str, request: Request) -> Answer:
    """Read the plan, evaluate every bound, and keep both for KEPT_FOR. Nothing is touched or reserved.

    Raises:
        NoSuchTarget: there is no such remediation or target.
        NoSuchRun: the run to undo does not exist.
        InvalidParameter: a parameter does not exist, or its value is not allowed.
        WrongState: the run cannot be undone, or the inventory was reloaded meanwhile.
        TargetUnreachable: the plan could not be read.
    """
    target = await _resolve(context, request)
    plan = await _read_plan(context, target)
    outside = await query_outside(context, target, "question")
    async with context.ledger.write() as connection:
        context.require_operator(operator)
        if target.inventory is not context.inventory:
            raise WrongState("the inventory was reloaded while the plan was read; ask again")
        now = context.clock.now()
        key = EpisodeKey(target.name.stack, target.remediation.name, str(target.name))
        run = _imagined_run(key, operator, request.undoes, plan, now)
        episode = await episodes.open_for(connection, key) or _imagined_episode(key, now)
        facts = await gather_facts(connection, context, target, run, episode, outside)
        decision = decide(facts, reads_only=only_reads(target, run))
        would, reason = next_state(target, run, decision, plan, None)
        if target.settings.mode is Mode.OFF:
            would, reason = RunState.REFUSED, "mode_off"
        question = await _keep(connection, key, target, plan, operator, request, now)
    return Answer(question, target, plan, decision, facts, would, reason)


async def _resolve(context: Context, request: Request) -> ResolvedTarget:
    """Return the target with the typed parameters, and with the items to restore."""
    if request.undoes is not None:
        return await _resolve_undo(context, request.undoes)
    remediation = context.remediations.get(request.remediation)
    text = canonical_target(remediation, request.target) if remediation is not None else request.target
    target = _resolve_key(context, EpisodeKey(text.partition("/")[0], request.remediation, text))
    values = parse_parameters(target.remediation.name, target.declaration.parameters, request.parameters or {})
    return replace(target, parameters=values)


async def _resolve_undo(context: Context, identifier: int) -> ResolvedTarget:
    async with context.ledger.read() as connection:
        run = await require_undoable(connection, context, identifier)
        undone_items = await applied_items(connection, identifier)
    target = _resolve_key(context, run.key)
    given = run.parameters or {}
    values = parse_parameters(run.remediation, target.declaration.parameters, given) if given else {}
    return replace(target, parameters=values, undoes=undone_items)


def _resolve_key(context: Context, key: EpisodeKey) -> ResolvedTarget:
    match resolve_target(context.inventory, context.remediations, key):
        case UnresolvedTarget(detail):
            raise NoSuchTarget(sanitize(detail, MAX_REASON))
        case target if str(target.name) != key.target:
            raise NoSuchTarget(f"{key.remediation} works on {target.name}, not on {sanitize(key.target)!r}")
        case target:
            return replace(target, trigger="operator")


async def _read_plan(context: Context, target: ResolvedTarget) -> Plan:
    if target.settings.mode is Mode.OFF:  # turned off: the target is not read
        return Plan((), 0)
    match await read_plan(context, target, "question"):
        case PlanFailed(detail):
            raise TargetUnreachable(detail)
        case plan:
            return plan


def _imagined_run(key: EpisodeKey, operator: str, undoes: int | None, plan: Plan, now: datetime) -> Run:
    """Return the run that a confirmation would start, for the bounds to judge."""
    nothing_yet = dict.fromkeys(("finished_at", "admitted_at", "not_before", "deferred_at", "expires_at", "settings"))
    return Run(
        **nothing_yet,
        id=0,
        episode=0,
        stack=key.stack,
        remediation=key.remediation,
        target=key.target,
        state=RunState.PLANNED,
        reason="",
        fence=1,
        created_at=now,
        approved_by=operator,
        found=plan.found,
        population=plan.population,
        plan_hash=None,
        evidence={},
        trigger="operator",
        requested_by=operator,
        undoes=undoes,
    )


def _imagined_episode(key: EpisodeKey, now: datetime) -> Episode:
    return Episode(0, key.stack, key.remediation, key.target, now, now, now, now, None, None, {})


async def _keep(
    connection: AsyncConnection,
    key: EpisodeKey,
    target: ResolvedTarget,
    plan: Plan,
    operator: str,
    request: Request,
    now: datetime,
) -> Question:
    parameters = format_parameters(target.parameters)
    return await questions.insert_question(
        connection,
        key,
        plan,
        parameters=parameters,
        undoes=request.undoes,
        reason=sanitize(request.reason, MAX_REASON),
        operator=operator,
        asked_at=now,
        expires_at=now + KEPT_FOR,
        plan_hash=_hash(key, parameters, request.undoes, plan.items),
    )


def _hash(key: EpisodeKey, parameters: Mapping[str, str], undoes: int | None, items: Sequence[Item]) -> str:
    """Return a fingerprint of exactly this plan: its target, its parameters and its items."""
    content = [key.stack, key.remediation, key.target, dict(parameters), undoes, hash_items(items)]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


async def confirm(context: Context, identifier: int, operator: str, plan_hash: str) -> Run:
    """Start the run of a question, with exactly the items that the operator was shown.

    Raises:
        NoSuchQuestion: no question has this number.
        WrongState: it is another operator's, too old, used or about another plan, or the target has a run.
    """
    async with context.ledger.write() as connection:
        context.require_operator(operator)
        question = await questions.get_or_none(connection, identifier)
        if question is None:
            raise NoSuchQuestion(f"there is no question {identifier}")
        _require_valid(question, operator, plan_hash, context.clock.now())
        if question.undoes is not None:
            await require_undoable(connection, context, question.undoes)
        return await _start(connection, context, question)


def _require_valid(question: Question, operator: str, plan_hash: str, now: datetime) -> None:
    if question.operator != operator:
        raise WrongState(f"question {question.id} is another operator's; ask yourself")
    if question.used_at is not None:
        raise WrongState(f"question {question.id} was confirmed and became run {question.run}; ask again")
    # A clock that was set back must not keep an old plan alive.
    if not question.asked_at <= now < question.expires_at:
        raise WrongState(f"question {question.id} has expired; ask again, and the plan is read again")
    if question.plan_hash != plan_hash:
        raise WrongState(f"question {question.id} has another plan_hash; confirm the plan that it shows")


async def _start(connection: AsyncConnection, context: Context, question: Question) -> Run:
    now, key = context.clock.now(), question.key
    episode = await episodes.open_for(connection, key)
    if episode is not None:
        await _make_way(connection, context, episode)
    episode = episode or await episodes.open_without_alerts(connection, key, now)
    origin = Origin("operator", question.operator, question.parameters, question.undoes)
    run = await runs.create(connection, episode, now, origin)
    await questions.use(connection, question, run.id, now)
    run = await effects.save_plan(connection, run, question.shown_plan())
    columns = {"approved_by": question.operator, "plan_hash": question.plan_hash}
    await connection.execute(update(table).where(table.c.id == run.id).values(**columns))
    detail = {"question": question.id, "plan_hash": question.plan_hash, "reason": question.reason}
    await audit.append(connection, now, "confirmed", run=run.id, actor=question.operator, detail=detail)
    return await runs.add_evidence(connection, run, requested={"by": question.operator, "reason": question.reason})


async def _make_way(connection: AsyncConnection, context: Context, episode: Episode) -> None:
    """Cancel a deferred run of the alert, which the operator's run replaces; any other run goes first."""
    run = await runs.last_of_episode(connection, episode.id)
    if run is None or run.state in ENDED:
        return
    if run.state is not RunState.DEFERRED or not run.answers_an_alert:
        remedy = "approve or reject it" if run.state is RunState.AWAITING_APPROVAL else "wait for its end"
        raise WrongState(f"run {run.id} of {run.remediation} on {run.target} is {run.state}; {remedy}")
    await transition(connection, context, run, RunState.CANCELLED, reason="superseded")
