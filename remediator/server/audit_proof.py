"""The proof of the audit trail, which takes long in a large ledger: those who want it share it."""

import asyncio
from datetime import datetime

from remediator.context import Context
from remediator.ledger.audit_verify import AuditReport, verify_trail


class AuditProof:
    """Verifies the whole trail, once for all who wait. `report` is the last result, of `verified_at`."""

    def __init__(self, context: Context) -> None:
        self.report: AuditReport | None = None
        self.verified_at: datetime | None = None
        self.begun_at: datetime | None = None
        self._context = context
        self._task: asyncio.Task[AuditReport] | None = None

    @property
    def is_under_way(self) -> bool:
        """Whether a verification has begun and not ended."""
        return self._task is not None

    async def verify(self) -> AuditReport:
        """Return the result of the verification under way, or of a new one."""
        return await asyncio.shield(self.start())

    def start(self) -> asyncio.Task[AuditReport]:
        """Return the verification under way; begin one if there is none."""
        if self._task is None:
            self.begun_at = self._context.clock.now()
            self._task = asyncio.create_task(verify_trail(self._context.ledger.read), name="audit")
            self._task.add_done_callback(self._on_done)
        return self._task

    def _on_done(self, task: asyncio.Task[AuditReport]) -> None:
        self._task = None
        # Reading the exception: asyncio would report it, and the client may have gone.
        if not task.cancelled() and task.exception() is None:
            self.report, self.verified_at = task.result(), self._context.clock.now()
