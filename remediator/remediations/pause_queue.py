"""Pauses one BullMQ queue, so that its jobs wait while something they need is down, and resumes it again.

A pause that nobody ends is an outage of its own. So it ends by itself after `for` or `ends_after`; for an alert without
either, once the alert has ended; and a pause by an operator without an end raises `QueuePauseNotEnded`.
"""

from collections.abc import Sequence
from datetime import timedelta

from remediator.model.act_words import ActWords
from remediator.model.parameters import DurationParameter
from remediator.model.permanent_fix import Cause, Fix
from remediator.model.quoting import script_text
from remediator.model.remediation import PastSize, PermanentFix, Remediation, Scope, Undo, UndoWhen
from remediator.remediations.queue_switch import open_switch


def _end_of(scope: Scope) -> UndoWhen:
    """Return the end that the operator or the inventory sets; None is the end of the episode."""
    after = scope.parameters.get("for", scope.settings.ends_after)
    return UndoWhen(after if isinstance(after, timedelta) else None)


def _write_fix(scope: Scope, _causes: Sequence[Cause]) -> Fix:
    """Let the workers wait by themselves while a service that their jobs need is down."""
    return Fix(
        "Something that the jobs need is down again and again. Let the worker itself wait for it: a rate limit that the"
        " processor sets keeps the jobs waiting, costs them no attempt, and ends by itself.",
        f"""\
const worker = new Worker({script_text(scope.target.queue or "")}, async (job) => {{
  if (!(await isUp())) {{ // the service that the jobs need
    await worker.rateLimit(30_000);
    throw Worker.RateLimitError();
  }}
  return process(job);
}}, {{ connection, limiter: {{ max: 1_000, duration: 1_000 }} }});""",
        "javascript",
    )


REMEDIATION = Remediation(
    name="pause_queue",
    kind="queues",
    keys=frozenset({"ends_after"}),
    max_items=1,
    one_effect=True,
    open=open_switch(paused=True),
    undo=Undo("exact", "A run of its own resumes the queue: after `for`, after `ends_after`, or with the alert's end."),
    permanent_fix=PermanentFix(_write_fix),
    parameters={
        "for": DurationParameter(
            "the time after which the queue is resumed by itself", timedelta(seconds=10), timedelta(days=1)
        )
    },
    undo_when=_end_of,
    auto_needs=frozenset({"ends_after"}),
    past_size=PastSize(found="1 - max by (stack, target, queue) (bullmq_queue_paused)"),
    words=ActWords("Pause the queue {}", "Paused the queue {}"),
)
