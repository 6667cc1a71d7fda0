"""The weekly reports to contacts: each is queued once per week, whatever is restarted or reloaded."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import structlog

from remediator.context import LeaderContext
from remediator.escalation.content import Content, Severity
from remediator.escalation.links import console_link
from remediator.ledger import outbox
from remediator.model.errors import LedgerUnavailable
from remediator.reports.document import Cell, Document, Section
from remediator.reports.period import PeriodReport
from remediator.reports.period_document import document_of, number_words
from remediator.reports.period_reading import read_report
from remediator.reports.readiness import Ready
from runbookd.inventory import Inventory, WeeklyReport

WEEK = timedelta(days=7)
LATE = timedelta(days=3)  # one that was due longer ago, as after an outage, is not sent
MAX_ROWS = 6  # of each part
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_PARTS = ("done", "refused", "waited", "recurring")  # the parts whose rows the message lists
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class DueReport:
    """A report that is due since `at`; `week` is that of its zone, as in 2026-W49.

    It begins at `since`, the moment of the last one: a week is an hour shorter or longer where the clocks change.
    """

    name: str
    settings: WeeklyReport
    since: datetime
    at: datetime
    week: str

    @property
    def key(self) -> str:
        """The key of its message."""
        return outbox.report_key(self.name, self.week)


async def queue_weekly_reports(context: LeaderContext) -> None:
    """Queue the reports that are due. One that fails is tried again at the next call, and holds up no other."""
    context = context.snapshot()
    for due in due_reports(context.inventory, context.clock.now()):
        try:
            await _queue(context, due)
        except LedgerUnavailable as error:
            log.warning("a weekly report waits for the ledger", report=due.name, reason=str(error))
        except Exception:
            log.exception("a weekly report failed", report=due.name)


async def _queue(context: LeaderContext, due: DueReport) -> None:
    """Queue one report for its contacts that do not have it yet."""
    async with context.ledger.read() as connection:
        queued = await outbox.contacts_of(connection, due.key)
        if queued.issuperset(due.settings.contacts):
            return
        report = await read_report(connection, context, due.at - due.since, due.settings.stack, due.at)
    message = weekly_message(context.inventory, report)
    async with context.ledger.write() as connection:
        now = context.clock.now()
        await outbox.enqueue(connection, None, due.key, due.settings.contacts, message.draft(), now)
    log.info("weekly report", report=due.name, week=due.week)


def due_reports(inventory: Inventory, now: datetime) -> Iterator[DueReport]:
    """Yield the reports whose last moment is at most LATE ago."""
    for name, settings in inventory.reports.items():
        day, at = _last_moment(settings, now)
        if now - at <= LATE:
            year, week, _ = day.isocalendar()
            yield DueReport(name, settings, _moment_on(day - WEEK, settings), at, f"{year}-W{week:02}")


def _last_moment(settings: WeeklyReport, now: datetime) -> tuple[date, datetime]:
    """Return the last moment of the report, with its day; a time that the clocks skip comes an hour later."""
    today = now.astimezone(ZoneInfo(settings.zone)).date()
    days = (today - timedelta(days=ago) for ago in range(8))
    moments = ((day, _moment_on(day, settings)) for day in days)
    return next((day, at) for day, at in moments if _DAYS[day.weekday()] == settings.day and at <= now)


def _moment_on(day: date, settings: WeeklyReport) -> datetime:
    return datetime.combine(day, settings.at, tzinfo=ZoneInfo(settings.zone)).astimezone(UTC)


def weekly_message(inventory: Inventory, report: PeriodReport) -> Content:
    """Return the message: the first sentence, then the rows that matter most."""
    document, stack = document_of(report), report.period.stack
    query = {"since": "7d", **({"stack": stack} if stack else {})}
    return Content(
        f"{f'[{stack}] ' if stack else ''}the week until {report.period.until:%a %Y-%m-%d}: {_numbers(report)}",
        Severity.INFO,
        facts=(document.lead, *document.facts, *_rows(document), *_ready(report)),
        links=console_link(inventory, "report", f"/report?{urlencode(query)}"),
        more=shlex.join(["runbookctl", "report", "--since", "7d", *(["--stack", stack] if stack else [])]),
    )


def _numbers(report: PeriodReport) -> str:
    totals = report.totals
    runs, alerts = number_words(totals.runs, "run"), number_words(totals.went_away, "alert")
    return f"{runs}, {alerts} went away without one, {totals.refused or 'none'} refused"


def _rows(document: Document) -> Iterator[str]:
    for section in document.sections:
        if section.name in _PARTS and section.rows:
            yield f"{section.title}:"
            yield from (f"- {_row(section, cells)}" for cells in section.rows[:MAX_ROWS])
            if len(section.rows) > MAX_ROWS:
                yield f"- and {len(section.rows) - MAX_ROWS} more"


def _row(section: Section, cells: Sequence[Cell]) -> str:
    stack, remediation, *values = (cell.text for cell in cells)
    names = (column.name for column in section.columns[2:])
    facts = ", ".join(f"{name} {value}" for name, value in zip(names, values, strict=True) if value != "-")
    return f"{stack} {remediation}: {facts}"


def _ready(report: PeriodReport) -> Iterator[str]:
    for each in report.readiness:
        ready = [mode for mode, answer in (("approve", each.approve), ("auto", each.auto)) if answer.ready is Ready.YES]
        if ready:
            plans = f"{each.record.clean} of {each.record.plans} plans are clean"
            yield f"Ready for {' and '.join(ready)}: {each.remediation} of {each.stack}, {plans}, mode {each.mode} now."
