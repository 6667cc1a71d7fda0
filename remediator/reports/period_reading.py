"""Gathers the report of a period from the ledger."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from itertools import pairwise
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.context import Context
from remediator.ledger import episodes, period_facts, runs, switches
from remediator.ledger.period_facts import EndedEpisode, EndedRun, OperatorAct, WaitEvent
from remediator.ledger.runs import Run
from remediator.ledger.schema import to_microseconds
from remediator.model.errors import InvalidParameter
from remediator.model.known_stacks import require_stack
from remediator.model.remediation import ItemState
from remediator.model.run_state import RunState
from remediator.model.target import settings_of
from remediator.reports.acts import by_hand
from remediator.reports.needless import Fix, Untouched, judge
from remediator.reports.period import (
    APPROVAL,
    Done,
    NeedlessRuns,
    Period,
    PeriodReport,
    Refused,
    Times,
    Totals,
    Waited,
)
from remediator.reports.readiness import PlanRecord, Readiness, plan_record, readiness
from remediator.reports.recurring import recurring_problems
from remediator.reports.spread import spread_of
from runbookd.inventory import Mode, format_duration

LONGEST = timedelta(days=366)
REFERENCE = timedelta(days=90)  # before the end of the period: the alerts with which a run is compared
MAX_PROBLEMS = 10  # recurring ones, the most frequent
MAX_SENTENCES = 100  # refusals whose numbers are read
_WAITS = frozenset({RunState.DEFERRED, RunState.AWAITING_APPROVAL})
Key = tuple[str, str]
"""A stack and a remediation of it."""
Row = TypeVar("Row")
Group = TypeVar("Group", bound=tuple[str, ...])


@dataclass(frozen=True)
class _Facts:
    """The rows of the ledger."""

    period: Period
    runs: Sequence[EndedRun]
    episodes: Sequence[EndedEpisode]
    unfinished: Sequence[Run]
    waits: Mapping[int, Sequence[WaitEvent]]
    acts: Sequence[OperatorAct]
    items: Mapping[int, Mapping[ItemState, int]]
    reading: frozenset[str]

    @cached_property
    def own(self) -> Sequence[EndedRun]:
        """The runs that no operator started, of remediations that touch something."""
        return [each for each in self.runs if each.trigger != "operator" and each.remediation not in self.reading]

    @cached_property
    def acted(self) -> Sequence[EndedRun]:
        """Those of them that were admitted."""
        return [each for each in self.own if each.admitted_at is not None]

    @cached_property
    def fixes(self) -> Sequence[EndedRun]:
        """The first run of each episode that succeeded."""
        first: dict[int, EndedRun] = {}
        for each in self.acted:
            if each.state == RunState.SUCCEEDED and each.trigger == "alert":
                first.setdefault(each.episode, each)
        return list(first.values())

    @cached_property
    def ended_in_period(self) -> Sequence[EndedEpisode]:
        """The episodes that ended in the period; the earlier ones are for comparison."""
        since = to_microseconds(self.period.since)
        return [each for each in self.episodes if each.ended_at >= since]


def check_period(context: Context, since: timedelta, stack: str | None) -> None:
    """Refuse a period or a stack that cannot be reported.

    Raises:
        InvalidParameter: the period is empty or too long.
        NoSuchTarget: the inventory has no such stack.
    """
    if not timedelta(0) < since <= LONGEST:
        raise InvalidParameter(f"the period must be between 1s and {format_duration(LONGEST)}; write it like 7d")
    require_stack(context.inventory, stack)


async def read_report(
    connection: AsyncConnection,
    context: Context,
    since: timedelta,
    stack: str | None = None,
    until: datetime | None = None,
    *,
    is_frequent: bool = False,
) -> PeriodReport:
    """Return the report of the time before `until`, which is now by default; call `check_period` before.

    `is_frequent` is as in `recent_recurrences`.
    """
    end = until or context.clock.now()
    covered = await period_facts.covered_since(connection, end - since, end)
    period = Period(covered, end, end - since, await period_facts.known_since(connection), stack)
    facts = await _read_facts(connection, context, period)
    return PeriodReport(
        period=facts.period,
        written_at=context.clock.now(),
        totals=_totals(facts, await _still_firing(connection, end, stack)),
        done=_done(facts),
        refused=await _refused(connection, facts),
        waited=_waited(facts),
        times=_times(facts),
        needless=_needless(facts),
        by_hand=by_hand(facts.runs, facts.waits, facts.acts, facts.items),
        readiness=await _readiness(connection, context, facts),
        recurring=await recurring_problems(connection, context, stack, most=MAX_PROBLEMS, is_frequent=is_frequent),
    )


async def _read_facts(connection: AsyncConnection, context: Context, period: Period) -> _Facts:
    since, until, stack = period.since, period.until, period.stack
    reading = frozenset(name for name, each in context.remediations.items() if each.reads_only)
    ended = await period_facts.ended_runs(connection, since, until, stack)
    unfinished = [each for each in await runs.unfinished(connection) if stack in (None, each.stack)]
    waiting = [each.id for each in ended if _has_waited(each)]
    waiting += [each.id for each in unfinished if each.state in _WAITS]
    touched = [each.id for each in ended if each.admitted_at is not None]
    return _Facts(
        period,
        ended,
        await period_facts.ended_episodes(connection, min(since, until - REFERENCE), until, stack, reading),
        unfinished,
        await period_facts.wait_events(connection, waiting),
        await period_facts.acts_of_operators(connection, since, until, stack),
        await period_facts.item_outcomes(connection, touched),
        reading,
    )


def _has_waited(run: EndedRun) -> bool:
    is_answered = run.approved_by is not None or run.state in (RunState.REJECTED, RunState.EXPIRED)
    return run.deferred_at is not None or is_answered


async def _still_firing(connection: AsyncConnection, end: datetime, stack: str | None) -> int:
    """Count the alerts of this period that fire now; a report that comes late knows later ones as well."""
    return sum(number for name, _, number in await episodes.count_open(connection, end) if stack in (None, name))


def _totals(facts: _Facts, still_firing: int) -> Totals:
    return Totals(
        runs=len(facts.acted),
        succeeded=sum(each.state == RunState.SUCCEEDED for each in facts.acted),
        planned=len({each.episode for each in facts.own if each.state == RunState.SHADOW}),
        went_away=sum(each.end_reason == "resolved" and not each.was_acted_on for each in facts.ended_in_period),
        refused=len({each.episode for each in facts.own if each.state == RunState.REFUSED}),
        still_firing=still_firing,
        diagnoses=sum(each.remediation in facts.reading for each in facts.runs),
    )


def _done(facts: _Facts) -> Sequence[Done]:
    found = []
    for (stack, remediation), group in _grouped(facts.acted, _key):
        items: Counter[ItemState] = Counter()
        for counted in (facts.items[each.id] for each in group if each.id in facts.items):
            items.update(counted)
        ends = {RunState(state): number for state, number in Counter(each.state for each in group).items()}
        found.append(Done(stack, remediation, len(group), ends, items, max(each.id for each in group)))
    return sorted(found, key=lambda each: -each.runs)


async def _refused(connection: AsyncConnection, facts: _Facts) -> Sequence[Refused]:
    refused = [each for each in facts.own if each.state == RunState.REFUSED]
    groups = _grouped(refused, lambda each: (each.stack, each.remediation, each.reason))
    found = [
        Refused(*key, "", len({each.episode for each in group}), len(group), max(each.id for each in group))
        for key, group in groups
    ]
    found.sort(key=lambda each: (-each.alerts, -each.runs))
    evidence = await period_facts.evidence_of(connection, [each.last_run for each in found[:MAX_SENTENCES]])
    return [replace(each, sentence=_sentence(evidence.get(each.last_run, {}), each.reason)) for each in found]


def _sentence(evidence: Mapping[str, Any], reason: str) -> str:
    return str(evidence.get("bounds", {}).get("refused_by", {}).get(reason, ""))


def _waited(facts: _Facts) -> Sequence[Waited]:
    keys: dict[int, Key] = {each.id: (each.stack, each.remediation) for each in facts.runs}
    keys |= {each.id: (each.stack, each.remediation) for each in facts.unfinished}
    spans: dict[tuple[str, str, str], dict[int, int]] = {}
    still: Counter[tuple[str, str, str]] = Counter()
    for number, events in facts.waits.items():
        for event, end in pairwise([*events, None]):
            if event is None or event.event not in _WAITS:
                continue
            key = (*keys[number], event.reason if event.event == RunState.DEFERRED else APPROVAL)
            still[key] += end is None
            ended_at = end.at if end is not None else to_microseconds(facts.period.until)
            runs_of_key = spans.setdefault(key, {})
            runs_of_key[number] = runs_of_key.get(number, 0) + max(ended_at - event.at, 0)
    found = [Waited(*key, len(each), spread_of(each.values()), still[key]) for key, each in spans.items()]
    return sorted(found, key=lambda each: (-each.still, -each.runs, each.stack, each.remediation))


def _times(facts: _Facts) -> Sequence[Times]:
    fixed = dict(_grouped(facts.fixes, _key))
    resolved = [each for each in facts.ended_in_period if each.end_reason == "resolved" and not each.was_acted_on]
    in_hand = dict(_grouped((each for each in resolved if each.was_in_hand), _key))
    untouched = dict(_grouped((each for each in resolved if not each.was_in_hand), _key))
    return [
        Times(
            *key,
            spread_of(each.finished_at - each.firing_since for each in fixed.get(key, ())),
            spread_of(each.ended_at - each.firing_since for each in in_hand.get(key, ())),
            spread_of(each.ended_at - each.firing_since for each in untouched.get(key, ())),
        )
        for key in sorted({*fixed, *in_hand, *untouched})
    ]


def _is_untouched(episode: EndedEpisode) -> bool:
    return episode.end_reason == "resolved" and not episode.was_acted_on and not episode.was_in_hand


def _needless(facts: _Facts) -> Sequence[NeedlessRuns]:
    alone = dict(_grouped((each for each in facts.episodes if _is_untouched(each)), _key))
    found = []
    for key, group in _grouped(facts.fixes, _key):
        fixes = [_fix(each) for each in group]
        untouched = [Untouched(each.ended_at, each.ended_at - each.firing_since) for each in alone.get(key, ())]
        found.append(NeedlessRuns(*key, judge(fixes, untouched)))
    return sorted(found, key=lambda each: (-len(each.found.runs), each.stack, each.remediation))


def _fix(run: EndedRun) -> Fix:
    admitted_at = run.admitted_at or run.finished_at
    return Fix(run.id, admitted_at, admitted_at - run.firing_since, run.finished_at - run.firing_since)


async def _readiness(connection: AsyncConnection, context: Context, facts: _Facts) -> Sequence[Readiness]:
    by_alerts = dict(_grouped((each for each in facts.own if each.trigger == "alert"), _key))
    untouched_ends = {each.id: each.ended_at for each in facts.episodes if _is_untouched(each)}
    broken = {(each.stack, each.remediation) for each in await switches.open_breakers(connection)}
    found = []
    for stack, settings_of_stack in context.inventory.stacks.items():
        if facts.period.stack not in (None, stack):
            continue
        for name, remediation in context.remediations.items():
            settings, plans = settings_of(settings_of_stack, name), by_alerts.get((stack, name), ())
            record = plan_record(plans, settings, untouched_ends) if plans else PlanRecord()
            is_configured = name in settings_of_stack.remediations and settings.mode is not Mode.OFF
            if not remediation.reads_only and (is_configured or record.plans or record.outdated):
                is_broken = (stack, name) in broken
                found.append(readiness(stack, remediation, settings, record, has_open_breaker=is_broken))
    return found


def _key(row: EndedRun | EndedEpisode) -> Key:
    return row.stack, row.remediation


def _grouped(rows: Iterable[Row], key: Callable[[Row], Group]) -> Sequence[tuple[Group, Sequence[Row]]]:
    """Return the rows by their key, in the order of the keys."""
    groups: dict[Group, list[Row]] = {}
    for each in rows:
        groups.setdefault(key(each), []).append(each)
    return sorted(groups.items(), key=lambda each: each[0])
