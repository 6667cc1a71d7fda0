"""Whether a remediation of a stack may be trusted with a higher mode: the verdict on its plans, and why.

Each alert counts once, whatever the number of its runs: repeated plans of one alert say little more than the first. It
is clean if each judged plan was. docs/how-to/read-the-report.md explains the thresholds.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any

from remediator.bounds.bounds import DEFERRALS
from remediator.ledger.period_facts import EndedRun
from remediator.model.remediation import Remediation
from remediator.model.run_state import SAME_ITEMS, RunState
from remediator.reports.wilson import lower_bound
from runbookd.inventory import Mode, RemediationSettings, format_duration, values_as_json

# An operator sees each plan before it acts: a handful shows whether it is worth the operator's time.
APPROVE_PLANS, APPROVE_BOUND = 5, 0.5
# No operator sees a plan before it acts: 20 clean plans of 20, or 24 of 25.
AUTO_PLANS, AUTO_BOUND = 20, 0.8
# The settings that decide what a plan lists and which plans are refused. Plans under others prove nothing.
PLAN_SETTINGS = (
    "older_than",
    "younger_than",
    "max_items",
    "batch",
    "max_share",
    "block_on",
    "protect",
    "terminate",
    "deny_reasons",
)
# These bounds judge the hour and the surroundings, not the plan.
SURROUNDINGS = frozenset(
    {"kill_switch", "mode_off", "freeze", "breaker", "storm", "stale", "blocked_by_alert", "requires", "deploy"}
    | {"backup_running", *DEFERRALS}
)


class Ready(StrEnum):
    """The answer for one mode."""

    YES = "yes"
    NO = "no"
    NEVER = "never"
    ALREADY = "already"


@dataclass(frozen=True)
class Answer:
    """Whether it is ready for a mode, and why; of a mode that is set, `because` is what speaks against it."""

    ready: Ready
    because: Sequence[str] = ()


@dataclass(frozen=True)
class PlanRecord:
    """The alerts whose plans were judged; `clean` of them raised no objection.

    `objections` count the alerts by what spoke against their plan. `soon_over` went by themselves within the time that
    a run has to prove itself. `outdated` were planned with other settings, and do not count.
    """

    plans: int = 0
    clean: int = 0
    objections: Mapping[str, int] = field(default_factory=dict)
    soon_over: int = 0
    outdated: int = 0

    @property
    def bound(self) -> float:
        """The lower bound of the share of clean plans."""
        return lower_bound(self.clean, self.plans)


@dataclass(frozen=True)
class Readiness:
    """The verdict on one remediation of one stack."""

    stack: str
    remediation: str
    mode: Mode
    record: PlanRecord
    bound: float
    approve: Answer
    auto: Answer


def plan_record(
    runs: Iterable[EndedRun], settings: RemediationSettings, untouched_ends: Mapping[int, int]
) -> PlanRecord:
    """Judge the runs of one remediation of one stack that alerts started.

    `untouched_ends` is when each episode ended that nobody touched.
    """
    current = _plan_settings(json.dumps(values_as_json(settings)))
    objections: dict[int, str] = {}
    began: dict[int, int] = {}
    outdated = set()
    for each in runs:
        if (objection := objection_to(each)) is None:
            continue
        if _is_outdated(each, current):
            outdated.add(each.episode)
            continue
        began.setdefault(each.episode, each.created_at)
        objections[each.episode] = objections.get(each.episode) or objection
    soon = settings.verify_within.total_seconds() * 1e6
    soon_over = [
        number for number, at in began.items() if number in untouched_ends and untouched_ends[number] - at <= soon
    ]
    found = Counter(objection for objection in objections.values() if objection)
    return PlanRecord(
        plans=len(objections),
        clean=len(objections) - found.total(),
        objections=dict(found.most_common()),
        soon_over=len(soon_over),
        outdated=len(outdated - objections.keys()),
    )


def objection_to(run: EndedRun) -> str | None:
    """Return what speaks against the plan of a run, empty if nothing does, None if the run is no evidence."""
    match run.state, run.reason:
        case (RunState.SUCCEEDED, _):
            return ""
        case (RunState.FAILED | RunState.INEFFECTIVE | RunState.UNKNOWN as state, _):
            return state
        case (RunState.NOTHING_TO_DO as state, reason):
            return reason or state
        case (RunState.REJECTED as state, reason) if reason != SAME_ITEMS:
            return state
        case (RunState.SHADOW, reason) if not reason or reason in DEFERRALS:
            return ""
        case (RunState.SHADOW | RunState.REFUSED, reason) if reason not in SURROUNDINGS:
            return reason
    return None


def _is_outdated(run: EndedRun, current: Mapping[str, Any]) -> bool:
    """Return whether the plan was judged with other settings; one that could not be read has none."""
    return run.settings is not None and (judged := _plan_settings(run.settings)) != {} and judged != current


@lru_cache(1_000)  # nearly all runs have the same settings
def _plan_settings(text: str) -> Mapping[str, Any]:
    settings = json.loads(text)
    return {name: settings.get(name) for name in PLAN_SETTINGS} if settings else {}


def readiness(
    stack: str,
    remediation: Remediation,
    settings: RemediationSettings,
    record: PlanRecord,
    *,
    has_open_breaker: bool,
) -> Readiness:
    """Return the verdict on one remediation of one stack."""
    approve = _approve(settings, record, has_open_breaker=has_open_breaker)
    auto = _auto(remediation, settings, record, has_open_breaker=has_open_breaker)
    return Readiness(stack, remediation.name, settings.mode, record, record.bound, approve, auto)


def _approve(settings: RemediationSettings, record: PlanRecord, *, has_open_breaker: bool) -> Answer:
    problems = list(_problems(record, APPROVE_PLANS, APPROVE_BOUND, has_open_breaker=has_open_breaker))
    if settings.mode in (Mode.APPROVE, Mode.AUTO):
        return _already(problems, record, APPROVE_PLANS)
    return _answer(problems, record)


def _auto(
    remediation: Remediation, settings: RemediationSettings, record: PlanRecord, *, has_open_breaker: bool
) -> Answer:
    if remediation.never_auto:
        return Answer(Ready.NEVER, (f"{remediation.name} always needs an operator's yes",))
    problems = list(_problems(record, AUTO_PLANS, AUTO_BOUND, has_open_breaker=has_open_breaker))
    if settings.mode is Mode.AUTO:
        return _already(problems, record, AUTO_PLANS)
    if missing := sorted(name for name in remediation.auto_needs if getattr(settings, name) in (None, ())):
        problems.append(f"mode auto needs {', '.join(missing)}")
    if 2 * record.soon_over >= record.plans > 0:
        soon = f"{record.soon_over} of {record.plans} alerts were over within {format_duration(settings.verify_within)}"
        problems.append(f"{soon} of the plan without it: set min_firing")
    return _answer(problems, record)


def _already(problems: Sequence[str], record: PlanRecord, plans: int) -> Answer:
    """Return that the mode is set, and what speaks against it if there is enough evidence to say so."""
    return Answer(Ready.ALREADY, tuple(problems) if record.plans >= plans else ())


def _answer(problems: Sequence[str], record: PlanRecord) -> Answer:
    if problems:
        return Answer(Ready.NO, tuple(problems))
    return Answer(Ready.YES, (f"{record.clean} of {record.plans} plans are clean",))


def _problems(record: PlanRecord, plans: int, bound: float, *, has_open_breaker: bool) -> Iterator[str]:
    if has_open_breaker:
        yield "a breaker is open"
    if record.plans < plans:
        yield f"{record.plans or 'no'} {'plan' if record.plans == 1 else 'plans'}, {plans} are needed"
    elif record.bound < bound:
        yield f"the lower bound of the share of clean plans is {record.bound:.1%}, {bound:.0%} is needed"
    if record.plans and record.bound < bound:
        yield from (f"{name}: {number} of {record.plans}" for name, number in record.objections.items())
