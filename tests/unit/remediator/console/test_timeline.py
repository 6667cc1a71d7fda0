"""The timeline of a run: two lanes, gaps with their cause, and no repetition."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from remediator.console.timeline import Event, timeline_of
from remediator.ledger.effects import RunItem
from remediator.ledger.episodes import Episode
from remediator.ledger.run_row import Run
from remediator.ledger.run_story import Story, StoryEvent, StoryItem, StoryMessage
from remediator.ledger.schema import to_microseconds
from remediator.model.remediation import Item
from remediator.model.remediation import ItemState as I
from remediator.model.run_state import RunState as S

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def run(state: S, **columns: Any) -> Run:
    names = {"id": 1, "episode": 1, "stack": "shop", "remediation": "clear_folder", "target": "shop/postgres/main"}
    empty = dict.fromkeys(
        ("admitted_at", "not_before", "deferred_at", "expires_at", "approved_by", "found", "population", "plan_hash")
    )
    rest = {"reason": "", "fence": 1, "created_at": START, "finished_at": None, "settings": None, "evidence": {}}
    return Run(**{**names, "state": state, **empty, **rest, **columns})


def episode(**columns: Any) -> Episode:
    entry = {"labels": {"alertname": "FolderFull", "priority": "P1"}, "annotations": {}}
    late = {**entry, "labels": {"alertname": "DiskFull"}, "joined": to_microseconds(at(5))}
    times = {"opened_at": START, "firing_since": at(-3), "delivered_at": START, "confirmed_at": START}
    ended = {"ended_at": None, "end_reason": None}
    values = {"stack": "shop", "remediation": "clear_folder", "target": "shop/postgres/main", **times, **ended}
    return Episode(**{"id": 1, **values, "alerts": {"a": entry, "b": late}, **columns})


def story(*rows: tuple[str, float, str, str], messages: tuple[StoryMessage, ...] = ()) -> Story:
    events = [
        StoryEvent(event, at(minutes), actor, {"reason": reason} if reason else {})
        for event, minutes, actor, reason in rows
    ]
    return Story(events, (), Counter(), messages, ())


def words(events: Any) -> list[str]:
    return [each.words for each in events]


def test_items_that_a_run_has_not_begun_are_not_counted_as_touched() -> None:
    intended = StoryItem(RunItem(0, Item({"name": "a"}, {}), I.UNKNOWN, ""), START, None)
    executing = story(("executing", 0.2, "remediator", ""))
    rows = replace(executing, items=(intended,), counts=Counter({I.UNKNOWN: 1, I.PLANNED: 2}))
    assert "Touched 1 of its 3 items: 1 unknown" in words(timeline_of(run(S.UNKNOWN), episode(), rows, at(1)))


PLANNED = ("planned", 0.0, "remediator", "")
PRECHECKED = ("prechecked", 0.1, "remediator", "")


def test_alerts_and_operators_are_in_the_lane_of_the_world() -> None:
    rows = story(PLANNED, PRECHECKED, ("awaiting_approval", 0.1, "remediator", ""), ("approved", 0.5, "oncall", ""))
    events = timeline_of(run(S.AWAITING_APPROVAL), episode(), rows, at(1))
    lanes = {each.words: each.lane for each in events if each.gap is None}
    assert lanes["FolderFull, DiskFull began to fire"] == "world"
    assert lanes["oncall approved exactly these items"] == "world"
    assert lanes["DiskFull joined"] == "world"
    assert lanes["Planned a run"] == lanes["Awaits approval"] == "ours"


def test_gap_says_how_long_and_for_what_the_run_waited() -> None:
    rows = story(PLANNED, ("awaiting_approval", 0.0, "remediator", ""), ("rejected", 90.0, "oncall", "by oncall"))
    events = timeline_of(run(S.REJECTED, finished_at=at(90)), episode(alerts={}), rows, at(100))
    [gap] = [each for each in events if each.gap is not None]
    assert (gap.words, gap.gap) == ("waited for an approval", timedelta(minutes=90))
    assert words(events)[-1] == "oncall: Rejected"


def test_run_that_still_waits_ends_with_its_gap() -> None:
    rows = story(PLANNED, ("deferred", 0.0, "remediator", "cooldown"))
    last = timeline_of(run(S.DEFERRED), episode(alerts={}), rows, at(7))[-1]
    assert (last.words, last.gap) == ("waited for a bound", timedelta(minutes=7))


def test_deferral_that_is_judged_again_and_again_is_shown_once() -> None:
    again = [(state, 0.1 * n, "remediator", reason) for n in range(200) for state, reason in _JUDGED]
    events = timeline_of(run(S.EXPIRED, finished_at=at(60)), episode(alerts={}), story(PLANNED, *again), at(61))
    assert len(events) < 12
    assert words(events).count("Deferred") <= 3


_JUDGED = (("prechecked", ""), ("deferred", "cooldown"))


def test_change_of_the_reason_is_kept() -> None:
    rows = [(state, float(n), "remediator", reason) for n in range(6) for state, reason in _JUDGED]
    rows[7] = ("deferred", 3.0, "remediator", "window")
    events = timeline_of(run(S.DEFERRED), episode(alerts={}), story(PLANNED, *rows), at(6))
    assert "window" in [each.detail for each in events]


def test_plan_is_shown_only_where_it_was_read_last() -> None:
    rows = story(PLANNED, PRECHECKED, ("deferred", 0.2, "remediator", "rate"), ("prechecked", 5.0, "remediator", ""))
    events: list[Event] = list(timeline_of(run(S.ADMITTED), episode(alerts={}), rows, at(5)))
    assert [each.at for each in events if each.part == "plan"] == [at(5)]


def test_message_says_whether_its_contact_has_accepted_it() -> None:
    sent = StoryMessage("dba", "refused", at(0.1), at(0.2), 1)
    failed = StoryMessage("oncall", "refused", at(0.1), None, 3)
    events = timeline_of(run(S.REFUSED, finished_at=at(0.1)), episode(), story(PLANNED, messages=(sent, failed)), at(1))
    assert {"Message delivered to dba's service", "Message to oncall: tried 3 times"} <= set(words(events))


def test_end_of_the_alert_stands_in_the_timeline() -> None:
    over = episode(ended_at=at(20), end_reason="resolved")
    events = timeline_of(run(S.SUCCEEDED, finished_at=at(1)), over, story(PLANNED), at(30))
    assert events[-1].words == "The alert resolved"


def test_run_without_an_alert_begins_with_itself() -> None:
    started = run(S.PLANNED, trigger="operator", requested_by="dba")
    events = timeline_of(started, episode(alerts={}), story(("planned", 0.0, "dba", "")), at(0.1))
    assert words(events) == ["dba: Planned a run"]
