"""The acts of operators in a period, as far as the ledger has them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from remediator.ledger.period_facts import EndedRun, OperatorAct, WaitEvent
from remediator.ledger.schema import from_microseconds
from remediator.model.remediation import ItemState
from remediator.reports.period import Act, ByHand

MAX_ACTS = 50
_ANSWERS = ("approved", "rejected")


def by_hand(
    runs: Sequence[EndedRun],
    waits: Mapping[int, Sequence[WaitEvent]],
    acts: Iterable[OperatorAct],
    items: Mapping[int, Mapping[ItemState, int]],
) -> ByHand:
    """Return what operators did, the newest first."""
    found = [*_started(runs), *_answered(waits), *((each.kind, _act(each)) for each in acts)]
    found.sort(key=lambda each: each[1].at, reverse=True)
    return ByHand(
        dict(Counter(kind for kind, _ in found).most_common()),
        [act for _, act in found[:MAX_ACTS]],
        _changed_items(runs, items),
    )


def _started(runs: Iterable[EndedRun]) -> Iterator[tuple[str, Act]]:
    for each in runs:
        if each.trigger != "operator":
            continue
        who, at = each.requested_by or "", from_microseconds(each.created_at)
        if each.undoes is not None:
            yield (
                "undid a run",
                Act(at, who, f"undid run {each.undoes} of {each.remediation} on {each.target}", each.id),
            )
        else:
            yield "started a run", Act(at, who, f"started {each.remediation} on {each.target}: {_end(each)}", each.id)


def _end(run: EndedRun) -> str:
    return run.state.replace("_", " ") + (f" ({run.reason})" if run.reason else "")


def _answered(waits: Mapping[int, Sequence[WaitEvent]]) -> Iterator[tuple[str, Act]]:
    for number, events in waits.items():
        for event in events:
            if event.event in _ANSWERS and event.actor != "remediator":
                what = f"{event.event} run {number}"
                yield f"{event.event} a run", Act(from_microseconds(event.at), event.actor, what, number)


def _act(act: OperatorAct) -> Act:
    note = f": {act.note}" if act.note else ""
    return Act(act.at, act.who, f"{act.kind} {act.about}{note}")


def _changed_items(runs: Iterable[EndedRun], items: Mapping[int, Mapping[ItemState, int]]) -> Mapping[str, int]:
    """Count the items that a run left alone because they were no longer as planned."""
    found: Counter[str] = Counter()
    for each in runs:
        if skipped := items.get(each.id, {}).get(ItemState.SKIPPED, 0):
            found[each.remediation] += skipped
    return dict(found.most_common())
