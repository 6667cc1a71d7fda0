"""Previews an approval: which planned items are gone by now, and which bounds would stop the run."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from remediator.bounds.bounds import Decision, decide
from remediator.bounds.facts import gather_facts, query_outside
from remediator.context import Context
from remediator.ledger import episodes
from remediator.ledger.effects import RunItem
from remediator.ledger.runs import Run
from remediator.model.errors import RemediatorError
from remediator.model.target import ResolvedTarget, UnresolvedTarget, resolve_target
from remediator.runs.exceptions import only_reads
from remediator.runs.planning import PlanFailed, read_plan
from remediator.runs.run_target import with_origin, with_undone_items
from remediator.server.dry_run import rolled_back
from runbookd.inventory import Mode

READ_SECONDS = 3.0  # a page waits for the target no longer


@dataclass(frozen=True)
class AnswerPreview:
    """The target and the bounds as an approval would meet them now.

    `gone` are the positions of the items that the target no longer has.

    Without a `decision`, no bound was judged; `problem` is why the target could not be read, or empty.
    """

    gone: frozenset[int] = frozenset()
    problem: str = ""
    decision: Decision | None = None


async def preview_answer(context: Context, run: Run, items: Sequence[RunItem], operator: str) -> AnswerPreview:
    """Read the plan again, and judge the bounds as if `operator` approved `run` now. Changes nothing."""
    context = context.snapshot()
    target = await _target_of(context, run)
    if isinstance(target, UnresolvedTarget):
        return AnswerPreview(problem=target.detail)
    try:
        async with asyncio.timeout(READ_SECONDS):
            gone, problem = await _read_gone(context, target, run, items)
            return AnswerPreview(gone, problem, await _judge(context, target, run, operator))
    except TimeoutError:
        return AnswerPreview(problem=f"{target.name} did not answer within {READ_SECONDS:.0f} s")
    except RemediatorError as error:
        return AnswerPreview(problem=str(error))


async def _target_of(context: Context, run: Run) -> ResolvedTarget | UnresolvedTarget:
    target = resolve_target(context.inventory, context.remediations, run.key)
    if isinstance(target, ResolvedTarget):
        target = with_origin(target, run)
    async with context.ledger.read() as connection:
        return await with_undone_items(connection, target, run)


async def _read_gone(
    context: Context, target: ResolvedTarget, run: Run, items: Sequence[RunItem]
) -> tuple[frozenset[int], str]:
    if target.settings.mode is Mode.OFF:
        return frozenset(), "the mode is off, so its target is not read"
    # All items: one beyond the batch has not gone.
    whole = replace(target, settings=target.settings.model_copy(update={"batch": None}))
    match await read_plan(context, whole, run.id):
        case PlanFailed(detail):
            return frozenset(), detail
        case plan if plan.found > len(plan.items):
            return frozenset(), f"the target has {plan.found} such items now and lists only {len(plan.items)}"
        case plan:
            present = [dict(item.identity) for item in plan.items]
            return frozenset(each.position for each in items if dict(each.item.identity) not in present), ""


async def _judge(context: Context, target: ResolvedTarget, run: Run, operator: str) -> Decision:
    outside = await query_outside(context, target, "preview")
    approved = replace(run, approved_by=operator)
    async with rolled_back(context.ledger) as connection:
        episode = await episodes.get(connection, run.episode)
        facts = await gather_facts(connection, context, target, approved, episode, outside)
        return decide(facts, reads_only=only_reads(target, approved))
