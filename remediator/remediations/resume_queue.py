"""Resumes one paused BullMQ queue, also one that the application has paused.

A pause is a decision, so this remediation never runs by itself: the end of a pause by `pause_queue` is that run's own.
"""

from remediator.model.remediation import Remediation, Undo
from remediator.remediations.queue_switch import open_switch

REMEDIATION = Remediation(
    name="resume_queue",
    kind="queues",
    keys=frozenset(),
    max_items=1,
    one_effect=True,
    open=open_switch(paused=False),
    undo=Undo("partial", "Pause the queue again with pause_queue; workers have begun jobs since."),
    never_auto=True,
)
