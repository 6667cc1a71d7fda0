"""The announcements of a window: messages before it opens, when it opens, and when it closes."""

from datetime import timedelta
from typing import Annotated, Literal

from runbookd.inventory.constraints import StringConstraints
from runbookd.inventory.durations import Duration
from runbookd.inventory.section import Name, Section, must_hold


class Announcement(Section):
    """A message `before` the window opens or closes. Without `contacts` it is listed and not sent."""

    before: Duration = timedelta(0)
    of: Literal["start", "end"] = "start"
    text: Annotated[str, StringConstraints(max_length=1_000)] = ""
    contacts: tuple[Name, ...] = ()

    @must_hold
    def _not_too_early(self) -> None:
        if self.before > timedelta(days=31):
            raise ValueError("before is longer than 31d")
