"""The report of a period in words: the same sections in every format."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from remediator.ledger.period_facts import MAX_ITEM_RUNS
from remediator.model.remediation import ItemState
from remediator.model.run_state import RunState
from remediator.reports.document import Cell, Column, Document, Section, Snippet
from remediator.reports.needless import MIN_COMPARABLE
from remediator.reports.period import (
    Done,
    NeedlessRuns,
    Period,
    PeriodReport,
    Refused,
    Times,
    Totals,
    Waited,
)
from remediator.reports.readiness import Answer, Readiness, Ready
from remediator.reports.recurring import RecurringProblem
from remediator.reports.spread import Spread
from runbookd.inventory import format_duration

_NUMBERS = frozenset(
    {"runs", "succeeded", "items applied", "alerts", "median", "90 %", "still waiting", "needless", "of judged"}
    | {"not judged", "clean plans", "at least", "times in 7 days"}
)


def document_of(report: PeriodReport) -> Document:
    """Return the report in words."""
    return Document(
        title=f"Report of {span_words(report.period)}, {report.period.stack or 'all stacks'}",
        lead=first_sentence(report),
        facts=list(_facts(report.period)),
        sections=[part(report) for part in _PARTS],
    )


def first_sentence(report: PeriodReport) -> str:
    """Return the report in one sentence."""
    totals = report.totals
    parts = [f"In {span_words(report.period)} runbookd {_did(totals)}"]
    parts.append(f"{number_words(totals.went_away, 'alert')} went away without it")
    parts.append(f"{totals.refused or 'none'} {'was' if totals.refused == 1 else 'were'} refused")
    if totals.still_firing:
        parts.append(f"{totals.still_firing} still {'fires' if totals.still_firing == 1 else 'fire'}")
    return f"{'; '.join(parts)}."


def _did(totals: Totals) -> str:
    if totals.runs:
        proven = f"{_share(totals.succeeded, totals.runs)} with proof of success"
        did = f"acted in {number_words(totals.runs, 'run')}, {proven}"
    else:
        did = "did nothing"
    return did + (
        f", and only planned for {number_words(totals.planned, 'alert')} in mode shadow" if totals.planned else ""
    )


def _share(number: int, total: int) -> str:
    if number == total:
        return "each" if total > 1 else "and it ended"
    return f"{number or 'none'} of them"


def span_words(period: Period) -> str:
    """Return the length of the period in words, rounded to its unit."""
    seconds = (period.until - period.since).total_seconds()
    for size, word in ((86_400, "day"), (3_600, "hour")):
        if seconds >= 2 * size or seconds == size:
            return number_words(round(seconds / size), word)
    return number_words(max(round(seconds / 60), 1), "minute")


def _facts(period: Period) -> Iterator[str]:
    yield f"from {_moment(period.since)} to {_moment(period.until)}"
    if period.known_since is None:
        yield "The ledger has no entry yet."
    elif period.known_since > period.since:
        yield f"The first entry of the ledger is of {_moment(period.known_since)}: it knows nothing before."
    if period.is_cut:
        asked = format_duration(period.until - period.asked_since)
        yield f"It was asked for {asked}, but so much has happened that it covers the newest part only."


def _done(report: PeriodReport) -> Section:
    columns = _columns("runs", "succeeded", "otherwise", "items applied", "last")
    diagnoses = report.totals.diagnoses
    also = [f"It also read diagnostics {_times_word(diagnoses)}, which touches nothing."] if diagnoses else []
    if report.totals.runs > MAX_ITEM_RUNS:
        also.append(f"The items are those of the newest {MAX_ITEM_RUNS:,} runs.")
    empty = "Nothing: no run touched anything."
    return Section("done", "Done", columns, [_done_row(each) for each in report.done], empty, also)


def _done_row(done: Done) -> Sequence[Cell]:
    others = [f"{number} {_words(state)}" for state, number in done.ends.items() if state is not RunState.SUCCEEDED]
    items = f"{done.items.get(ItemState.APPLIED, 0)} of {sum(done.items.values())}"
    numbers = Cell(str(done.runs)), Cell(str(done.succeeded)), Cell(", ".join(others) or "-"), Cell(items)
    return *_who(done.stack, done.remediation), *numbers, _run(done.last_run)


def _refused(report: PeriodReport) -> Section:
    columns = _columns("reason", "alerts", "runs", "last")
    rows = [_refused_row(each) for each in report.refused]
    return Section("refused", "Refused, and why", columns, rows, "Nothing was refused.")


def _refused_row(refused: Refused) -> Sequence[Cell]:
    why = f"{refused.reason}: {refused.sentence}" if refused.sentence else refused.reason or "-"
    numbers = Cell(str(refused.alerts)), Cell(str(refused.runs))
    return *_who(refused.stack, refused.remediation), Cell(why), *numbers, _run(refused.last_run)


def _waited(report: PeriodReport) -> Section:
    columns = _columns("waited for", "runs", "median", "90 %", "still waiting")
    rows = [_waited_row(each) for each in report.waited]
    return Section("waited", "Waited for", columns, rows, "No run waited for anything.")


def _waited_row(waited: Waited) -> Sequence[Cell]:
    numbers = Cell(str(waited.runs)), *_both(waited.waits), Cell(str(waited.still))
    return *_who(waited.stack, waited.remediation), Cell(waited.reason), *numbers


def _times(report: PeriodReport) -> Section:
    columns = _columns("fixed by runbookd", "taken by an operator", "touched by nobody")
    sentence = (
        "From the start of an alert to the proof that a run fixed it, beside the time to the end of alerts that an "
        "operator had acknowledged, and of those that nobody touched. Other hands leave no trace in the ledger."
    )
    rows = [_times_row(each) for each in report.times]
    return Section("times", "From alert to fix", columns, rows, "No alert was resolved.", [sentence] if rows else [])


def _times_row(times: Times) -> Sequence[Cell]:
    cells = (Cell(_spread(each)) for each in (times.fixed, times.in_hand, times.untouched))
    return *_who(times.stack, times.remediation), *cells


def _spread(spread: Spread) -> str:
    if not spread.number:
        return "-"
    return f"{spread.number}: median {_duration(spread.median)}, 90 % within {_duration(spread.ninetieth)}"


def _needless(report: PeriodReport) -> Section:
    columns = _columns("needless", "of judged", "not judged")
    rows = [_needless_row(each) for each in report.needless]
    sentence = (
        "A run counts as needless if at least half of the comparable alerts of the 90 days before went by themselves "
        f"within the time that the fix took. With fewer than {MIN_COMPARABLE} comparable alerts it is not judged."
    )
    empty = "No run succeeded, so none can have been needless."
    return Section("needless", "Needless runs", columns, rows, empty, [sentence] if rows else [])


def _needless_row(needless: NeedlessRuns) -> Sequence[Cell]:
    found = needless.found
    numbers = Cell(str(len(found.runs))), Cell(str(found.judged)), Cell(str(found.unjudged))
    return *_who(needless.stack, needless.remediation), *numbers


def _by_hand(report: PeriodReport) -> Section:
    acts = report.by_hand
    kinds = ", ".join(f"{kind} {_times_word(number)}" for kind, number in acts.counts.items())
    sentences = [f"In all: {kinds}."] if kinds else []
    if acts.changed_items:
        changed = ", ".join(f"{number} of {name}" for name, number in acts.changed_items.items())
        sentences.append(
            f"Items that had changed between the plan and the act, by other hands or by themselves: {changed}."
        )
    columns = Column("time (UTC)"), Column("who"), Column("what"), Column("run")
    rows = [
        (Cell(f"{each.at.astimezone(UTC):%Y-%m-%d %H:%M}"), Cell(each.who), Cell(each.what), _run(each.run))
        for each in acts.newest
    ]
    empty = "The ledger has no act of an operator. It cannot see statements, restarts and settings of other hands."
    return Section("by_hand", "Done by hand", columns, rows, empty, sentences)


def _readiness(report: PeriodReport) -> Section:
    columns = _columns("mode", "clean plans", "at least", "ready for approve", "ready for auto")
    rows = [_readiness_row(each) for each in report.readiness]
    empty = "No remediation is configured, and none has planned anything."
    sentence = (
        "Each alert counts once. The lower bound of Wilson's 95 % interval says how large the share of clean plans is "
        "at least, seen how few there are."
    )
    return Section("readiness", "Ready for more?", columns, rows, empty, [sentence] if rows else [])


def _readiness_row(verdict: Readiness) -> Sequence[Cell]:
    record = verdict.record
    old = f" ({record.outdated} with other settings)" if record.outdated else ""
    plans = f"{record.clean} of {record.plans}{old}" if record.plans else f"none{old}"
    bound = f"{record.bound:.0%}" if record.plans else "-"
    answers = Cell(answer_words(verdict.approve)), Cell(answer_words(verdict.auto))
    return *_who(verdict.stack, verdict.remediation), Cell(str(verdict.mode)), Cell(plans), Cell(bound), *answers


def answer_words(answer: Answer) -> str:
    """Return the verdict for one mode, with its reasons."""
    if answer.ready is Ready.ALREADY:
        return "; ".join(["already", *answer.because])
    return f"{answer.ready}, because {'; '.join(answer.because)}"


def _recurring(report: PeriodReport) -> Section:
    columns = _columns("target", "times in 7 days", "in common", "last")
    rows = [_recurring_row(each) for each in report.recurring]
    fixes = [
        Snippet(f"{each.remediation} on {each.target}: {each.fix.advice}", each.fix.snippet, each.fix.language)
        for each in report.recurring
    ]
    empty = "No problem has come back often enough to need a permanent fix."
    return Section("recurring", "Problems that come back", columns, rows, empty, snippets=fixes)


def _recurring_row(problem: RecurringProblem) -> Sequence[Cell]:
    causes = "; ".join(f"{each} ({each.items})" for each in problem.causes[:3]) or "-"
    last = _run(problem.runs[0] if problem.runs else None)
    return *_who(problem.stack, problem.remediation), Cell(problem.target), Cell(str(problem.times)), Cell(causes), last


_PARTS = (_done, _refused, _waited, _times, _needless, _by_hand, _readiness, _recurring)


def _columns(*names: str) -> Sequence[Column]:
    return [Column(name, name in _NUMBERS) for name in ("stack", "remediation", *names)]


def _who(stack: str, remediation: str) -> tuple[Cell, Cell]:
    query = urlencode({"stack": stack, "remediation": remediation})
    return Cell(stack), Cell(remediation, f"/runs?{query}")


def _run(number: int | None) -> Cell:
    return Cell(f"run {number}", f"/runs/{number}") if number is not None else Cell("-")


def _both(spread: Spread) -> tuple[Cell, Cell]:
    return Cell(_duration(spread.median)), Cell(_duration(spread.ninetieth))


def _duration(span: timedelta | None) -> str:
    """Return whole seconds, of a long one whole minutes."""
    if span is None:
        return "-"
    seconds = round(span.total_seconds())
    return format_duration(timedelta(seconds=seconds if seconds < 3_600 else seconds // 60 * 60))


def number_words(count: int, noun: str) -> str:
    """Return a number with its noun, as in `no runs` and `1 run`."""
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"


def _times_word(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _words(state: RunState) -> str:
    return state.replace("_", " ")


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
