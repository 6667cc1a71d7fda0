"""The steps of one run: STEPS says what follows in which state, TRANSITIONS what may follow at all, as in the code."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from remediator.engine.run_driver import STEPS, plan_and_execute
from remediator.model.remediation import ItemState
from remediator.model.run_state import ENDED, TRANSITIONS, RunState
from remediator.runs.recovery import recover
from remediator.runs.verification import verify
from tests.protocol.search import Step
from tests.protocol.work_state import At, Run, State, Task

TAKEN: set[tuple[RunState, RunState]] = set()  # the transitions that the searches have taken
S = RunState
Following = Iterator[tuple[str, State]]


@dataclass(frozen=True)
class Rules:
    """How effects are applied and looked up, as it is or with a seeded fault.

    An effect `checks_identity` if the statement that acts checks that the item is still there.
    """

    checks_identity: bool = True
    may_stop_before_sending: bool = False
    checks_lease_before_sending: bool = True
    sends_before_intent: bool = False
    takes_unknown_as_applied: bool = False
    take_over_raises_fence: bool = True
    max_admitted: int = 2  # runs per hour, and no hour passes here
    judges_a_deferred_run_again: bool = True


AS_IT_IS = Rules()


def moved(run: Run, to: RunState) -> Run:
    """Move a run as the table allows."""
    assert to in TRANSITIONS[run.state], f"no transition from {run.state} to {to}"
    TAKEN.add((run.state, to))
    return run._replace(state=to)


def found(state: State, which: int) -> Following:
    """Find the unfinished run in the ledger: drive it, or end its wait."""
    run, episode = state.run, state.episode
    if run.state is S.DEFERRED and not episode.is_confirmed:
        yield f"ends the wait of run {run.number}", _with_run(state, moved(run, S.EXPIRED))
    else:
        yield f"finds run {run.number} {run.state}", state.with_task(which, Task(run.number, run.state))


def steps(state: State, which: int, task: Task, rules: Rules) -> Iterator[Step]:
    """Take the next step of a task, or lose it: its transaction failed, or whether it was committed is in doubt."""
    if task.at is not At.SENT:
        yield Step("gets an error from the ledger, and leaves the run", state.with_task(which, None), is_fault=True)
    step = STEP_OF_STATE[STEPS[task.state]] if task.at is At.FOUND else STEP_AFTER[task.at]
    for words, following in step(state, which, task, rules):
        yield Step(words.format(run=f"run {task.run}"), following)


def takes_over(state: State, following: State, which: int) -> bool:
    """Return whether a step was the write that raises the fence of a run."""
    task, then = state.replicas[which].task, following.replicas[which].task
    return then is not None and then.at is At.TAKEN_OVER and then != task


def arrivals(state: State, rules: Rules) -> Iterator[Step]:
    """Let an effect under way arrive, or lose it."""
    if state.flights:
        landed = state._replace(flights=state.flights - 1)
        acts = state.is_item_there or not rules.checks_identity
        arrived = landed._replace(effects=state.effects + acts, is_item_there=False)
        yield Step("an effect arrives and " + ("acts" if acts else "finds its item gone"), arrived)
        yield Step("an effect is lost on its way", landed, is_fault=True)


def _read_plan(state: State, which: int, task: Task, _: Rules) -> Following:
    yield "reads the plan of {run}", state.with_task(which, task._replace(at=At.PLANNED, seen=state.is_item_there))


def _decide(state: State, which: int, task: Task, rules: Rules) -> Following:
    run = _owned(state, task)
    if run is None:
        yield _left(state, which)
        return
    if run.state is S.ADMITTED:  # crashed between its admission and its first effect
        state = _without_other_fences(state, which, rules)
    to = _next_state(state, run, task, rules)
    if to is S.ADMITTED and not run.has_reservation:
        state = state._replace(admitted=state.admitted + 1)
    if to is S.DEFERRED:
        state = state._replace(episode=state.episode._replace(is_confirmed=False))
    run = moved(moved(run, S.PRECHECKED), to)._replace(has_reservation=run.has_reservation or to is S.ADMITTED)
    following = task._replace(state=to, at=At.ADMITTED) if to is S.ADMITTED else None
    yield "decides about {run}: " + to, _with_run(state, run).with_task(which, following)


def _next_state(state: State, run: Run, task: Task, rules: Rules) -> RunState:
    if not task.seen:
        return S.NOTHING_TO_DO
    if state.is_breaker_open:
        return S.REFUSED
    is_judged = rules.judges_a_deferred_run_again or run.state is not S.DEFERRED
    is_over_the_limit = is_judged and not run.has_reservation and state.admitted >= rules.max_admitted
    return S.DEFERRED if is_over_the_limit else S.ADMITTED


def _intend(state: State, which: int, task: Task, rules: Rules) -> Following:
    run = _owned(state, task)
    if run is None or run.item is not ItemState.PLANNED:
        yield _left(state, which)
        return
    run = moved(run, S.EXECUTING)._replace(item=ItemState.INTENDED)
    following = task._replace(state=S.EXECUTING, at=At.SENT if rules.sends_before_intent else At.INTENDED)
    yield "commits the intent of {run}", _with_run(state, run).with_task(which, following)


def _check_lease(state: State, which: int, task: Task, rules: Rules) -> Following:
    if rules.checks_lease_before_sending and not state.replicas[which].may_send:
        yield "no longer trusts its lease, and does not send the effect of {run}", state.with_task(which, None)
    elif rules.may_stop_before_sending:
        yield "still trusts its lease", state.with_task(which, task._replace(at=At.CHECKED))
    else:
        yield from _send(state, which, task, rules)


def _send(state: State, which: int, task: Task, rules: Rules) -> Following:
    sent = state._replace(flights=state.flights + 1, last_sent=task.run)
    if state.last_sent == task.run:
        sent = sent._replace(broken=f"the effect of run {task.run} is sent again")
    following = task._replace(at=At.INTENDED if rules.sends_before_intent else At.SENT)
    yield "sends the effect of {run}", sent.with_task(which, following)


def _answer(state: State, which: int, task: Task, rules: Rules) -> Following:
    for outcome in _outcomes(state, rules):
        answered = task._replace(at=At.ANSWERED, seen=outcome)
        yield "learns that the effect of {run} is " + outcome, state.with_task(which, answered)


def _outcomes(state: State, rules: Rules) -> Iterator[ItemState]:
    """Yield what a look-up may say: of an effect that may still come, "not applied" only if it checks its item."""
    yield ItemState.APPLIED if rules.takes_unknown_as_applied else ItemState.UNKNOWN
    if not state.is_item_there:
        yield ItemState.APPLIED
    elif not state.flights or rules.checks_identity:
        yield ItemState.NOT_APPLIED


def _settle(state: State, which: int, task: Task, _: Rules) -> Following:
    run = _owned(state, task)
    if run is None:
        yield _left(state, which)
        return
    outcome = task.seen if run.item is ItemState.INTENDED else run.item
    at = At.SETTLED if task.at is At.ANSWERED else At.RESETTLED
    yield (
        "records the outcome of {run}",
        _with_run(state, run._replace(item=outcome)).with_task(which, task._replace(at=at, seen=None)),
    )


def _conclude(state: State, which: int, task: Task, _: Rules) -> Following:
    ends = {ItemState.UNKNOWN: S.UNKNOWN, ItemState.APPLIED: S.VERIFYING, ItemState.NOT_APPLIED: S.FAILED}
    run = _owned(state, task)
    yield _left(state, which) if run is None else _moved_on(state, which, task, run, ends[run.item])


def _take_over(state: State, which: int, task: Task, rules: Rules) -> Following:
    if _owned(state, task) is None:
        yield _left(state, which)
        return
    taken = _without_other_fences(state, which, rules)
    yield "takes over {run}", taken.with_task(which, task._replace(at=At.TAKEN_OVER))


def _look_up(state: State, which: int, task: Task, rules: Rules) -> Following:
    run = _owned(state, task)
    if run is None or run.item is not ItemState.INTENDED:
        yield "finds no open intent in {run}", state.with_task(which, task._replace(at=At.RESETTLED))
        return
    for outcome in _outcomes(state, rules):
        looked = task._replace(at=At.LOOKED_UP, seen=outcome)
        yield "looks up the effect of {run}: " + outcome, state.with_task(which, looked)


def _end_recovery(state: State, which: int, task: Task, _: Rules) -> Following:
    run = _owned(state, task)
    if run is None:
        yield _left(state, which)
        return
    to = S.UNKNOWN if run.item is ItemState.UNKNOWN else S.INTERRUPTED
    yield _moved_on(state, which, task, run, to)


def _read_result(state: State, which: int, task: Task, _: Rules) -> Following:
    for seen in (state.is_item_there, None):
        words = "cannot read the result of {run}" if seen is None else "reads the result of {run}"
        yield words, state.with_task(which, task._replace(at=At.VERIFIED, seen=seen))


def _judge(state: State, which: int, task: Task, _: Rules) -> Following:
    to = {None: S.UNKNOWN, True: S.INEFFECTIVE, False: S.SUCCEEDED}[task.seen]
    run = _owned(state, task)
    yield _left(state, which) if run is None else _moved_on(state, which, task, run, to)


TakeStep = Callable[[State, int, Task, Rules], Following]
STEP_OF_STATE: dict[object, TakeStep] = {plan_and_execute: _read_plan, recover: _take_over, verify: _read_result}
STEP_AFTER: dict[At, TakeStep] = {
    At.PLANNED: _decide,
    At.ADMITTED: lambda state, which, task, rules: (_send if rules.sends_before_intent else _intend)(
        state, which, task, rules
    ),
    At.INTENDED: lambda state, which, task, rules: (_intend if rules.sends_before_intent else _check_lease)(
        state, which, task, rules
    ),
    At.CHECKED: _send,
    At.SENT: _answer,
    At.ANSWERED: _settle,
    At.SETTLED: _conclude,
    At.TAKEN_OVER: _look_up,
    At.LOOKED_UP: _settle,
    At.RESETTLED: _end_recovery,
    At.VERIFIED: _judge,
}


def _owned(state: State, task: Task) -> Run | None:
    """Return the run if the task still owns it, as the WHERE clause of each write wants it."""
    run = state.run
    return run if (run.number, run.state) == (task.run, task.state) and task.has_fence else None


def _left(state: State, which: int) -> tuple[str, State]:
    return "finds {run} changed by another, and leaves it", state.with_task(which, None)


def _moved_on(state: State, which: int, task: Task, run: Run, to: RunState) -> tuple[str, State]:
    following = None if to in ENDED else Task(run.number, to)
    return "moves {run}: " + to, _with_run(state, moved(run, to)).with_task(which, following)


def _with_run(state: State, run: Run) -> State:
    """Write the run; after its end, only a further confirmation is a reason for the next."""
    if run.state in ENDED:
        state = state._replace(episode=state.episode._replace(is_confirmed=False))
    return state._replace(run=run, is_breaker_open=state.is_breaker_open or run.state in (S.UNKNOWN, S.INEFFECTIVE))


def _without_other_fences(state: State, which: int, rules: Rules) -> State:
    """Raise the fence of the run: the tasks that others have of it may write no more."""
    if not rules.take_over_raises_fence:
        return state
    for other, replica in enumerate(state.replicas):
        if other != which and replica.task is not None:
            state = state.with_task(other, replica.task._replace(has_fence=False))
    return state
