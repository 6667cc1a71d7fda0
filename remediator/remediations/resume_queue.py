"""Resumes one paused BullMQ queue, also one that the application has paused.

A pause is a decision, so this remediation never runs by itself: the end of a pause by `pause_queue` is that run's own.
"""

from collections.abc import Sequence

from remediator.model.act_words import ActWords
from remediator.model.permanent_fix import Cause, Fix
from remediator.model.quoting import shell_word
from remediator.model.remediation import PastSize, PermanentFix, Remediation, Scope, Undo
from remediator.remediations.queue_switch import open_switch


def _write_fix(scope: Scope, _causes: Sequence[Cause]) -> Fix:
    return Fix(
        "Someone pauses the queue and forgets it. Pause it with an end, from here instead of from the application or a"
        " script: then the remediator resumes it by itself.",
        f"runbookctl start pause_queue {shell_word(str(scope.target))} --set for=30m",
        "shell",
    )


REMEDIATION = Remediation(
    name="resume_queue",
    kind="queues",
    keys=frozenset(),
    max_items=1,
    one_effect=True,
    open=open_switch(paused=False),
    undo=Undo("partial", "Pause the queue again with pause_queue; workers have begun jobs since."),
    permanent_fix=PermanentFix(_write_fix),
    never_auto=True,
    past_size=PastSize(found="max by (stack, target, queue) (bullmq_queue_paused)"),
    words=ActWords("Resume the queue {}", "Resumed the queue {}"),
)
