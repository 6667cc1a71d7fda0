"""Reports of what the remediator did, sent to contacts once a week."""

from datetime import time
from typing import Annotated, Literal

from runbookd.inventory.bounds import TimeOfDay
from runbookd.inventory.constraints import Field
from runbookd.inventory.section import Name, Section, Zone

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class WeeklyReport(Section):
    """The report of seven days, sent to `contacts` on this day; of one `stack`, or of all."""

    contacts: Annotated[tuple[Name, ...], Field(min_length=1)]
    stack: Name | None = None
    day: Day = "mon"
    at: TimeOfDay = time(8)
    zone: Zone = "UTC"
