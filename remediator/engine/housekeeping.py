"""Periodic work, done however busy the engine is.

It ends vanished episodes, deletes expired records, sees to what happens on a date, and looks once for leftovers.
"""

import asyncio

from remediator.calendar.announcements import queue_announcements
from remediator.calendar.duties import note_new_duties
from remediator.context import LeaderContext
from remediator.engine.leftovers import sweep_leftovers
from remediator.escalation.reminders import queue_reminders
from remediator.escalation.weekly_report import queue_weekly_reports
from remediator.intake.vanished import CHECK_SECONDS, VanishedEpisodeDetector
from remediator.ledger import retention

CALENDAR_SECONDS = 30.0
RETENTION_SECONDS = 3_600.0
FIRST_RETENTION_SECONDS = 600.0  # after the start: the clock may be years ahead until the machine has synchronized it
RETENTION_PACE_SECONDS = 1.0  # between two steps, so that other writers get their turn


class Housekeeping:
    """The periodic work of the engine; the due times are on the event loop's clock."""

    def __init__(self, context: LeaderContext) -> None:
        self._context = context
        self._vanished_detector = VanishedEpisodeDetector(context)
        self._sweep: asyncio.Task[None] | None = None
        self._reports: asyncio.Task[None] | None = None
        self.next_vanished_check = 0.0
        self.next_calendar_check = 0.0
        self.next_retention: float | None = None

    async def run_due(self) -> None:
        """Do the work that is due.

        Raises:
            LedgerUnavailable: the rest is left to the next round.
        """
        now = asyncio.get_running_loop().time()
        if self._sweep is None and self._context.simulated is None:
            await self._start_sweep()
        if now >= self.next_vanished_check:
            self.next_vanished_check = now + CHECK_SECONDS
            await self._vanished_detector.check()
        if now >= self.next_calendar_check:
            self.next_calendar_check = now + CALENDAR_SECONDS
            await note_new_duties(self._context)
            await queue_announcements(self._context)
            await queue_reminders(self._context)
            if self._context.simulated is None:
                self._start_reports()
        if self.next_retention is None:
            self.next_retention = now + FIRST_RETENTION_SECONDS
        if now >= self.next_retention:
            self.next_retention = now + RETENTION_SECONDS
            if await retention.delete_expired(self._context.ledger, self._context.clock.now()):
                self.next_retention = now + RETENTION_PACE_SECONDS

    async def _start_sweep(self) -> None:
        """Sweep beside the rounds, as a scratch server may be slow, once no former leader can be at a drill."""
        async with self._context.ledger.read() as connection:
            if await self._context.ledger.acting_elsewhere(connection):
                return
        self._sweep = asyncio.create_task(sweep_leftovers(self._context), name="leftovers of drills")

    def _start_reports(self) -> None:
        """Queue the weekly reports beside the rounds: a long period takes a while to read, and no run waits for it."""
        if self._reports is None or self._reports.done():
            self._reports = asyncio.create_task(queue_weekly_reports(self._context), name="weekly reports")
