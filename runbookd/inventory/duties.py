"""The duties of a stack: what people do at intervals, such as drills, rotations and reviews."""

from datetime import timedelta
from typing import Annotated, Literal

from runbookd.inventory.constraints import AfterValidator, Field
from runbookd.inventory.durations import Duration
from runbookd.inventory.section import Name, Section, must_hold

Priority = Literal["P2", "P3"]  # an overdue duty pages nobody


def _at_least_an_hour(interval: timedelta) -> timedelta:
    if interval < timedelta(hours=1):
        raise ValueError("must be at least 1h; write 31d for a duty of every month")
    return interval


class Duty(Section):
    """A duty that is done `every` so often; it is overdue `grace` after that.

    A succeeded run of `remediation` on this stack counts as done. With `secrets`, the duty is the replacement of the
    secret files that the inventory names: it was last done when the oldest of them was last changed.
    """

    every: Annotated[Duration, AfterValidator(_at_least_an_hour)]
    grace: Duration = timedelta(0)
    priority: Priority = "P3"
    runbook_url: str = ""
    remediation: Name | None = None
    secrets: Annotated[bool, Field(strict=True)] = False

    @must_hold
    def _one_proof(self) -> None:
        if self.secrets and self.remediation is not None:
            raise ValueError("secrets and remediation are both set; keep one")
