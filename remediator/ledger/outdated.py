"""Pauses a ledger that lacks recent history: what was done since is not known to it, and would be done again."""

from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger import switches

_REMEDY = "Check what was done since, then run `runbookctl resume`"
OUTDATED_LEDGER = f"this ledger is missing recent history (restored or replaced). {_REMEDY}"
MOVED_LEDGER = (
    "this ledger may be missing recent history: its database was restored, or another server took over, and nobody is"
    f" left who knows its newest row. {_REMEDY}"
)
log = structlog.get_logger(__name__)


async def pause_as_outdated(connection: AsyncConnection, now: datetime, reason: str) -> None:
    """Pause all stacks until an operator resumes them, unless they are already paused for this reason."""
    if any(each.reason == reason for each in await switches.active_pauses(connection, now)):
        return
    await switches.pause_now(connection, now, "remediator", reason, None, None)
    log.error("remediation is paused", reason=reason)
