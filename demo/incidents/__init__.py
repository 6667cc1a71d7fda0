"""The incidents of the demo. To add one, add a file and its line in INCIDENTS.

Each injects a real fault, which the loop must detect, and afterwards proves the result.
"""

from demo.incidents.base import Incident, IncidentProof, Injection
from demo.incidents.failed_jobs import FAILED_JOBS
from demo.incidents.idle_transactions import IDLE_TRANSACTIONS
from demo.incidents.leaking_service import LEAKING_SERVICE
from demo.incidents.old_backup import OLD_BACKUP
from demo.incidents.old_files import OLD_FILES
from demo.incidents.operated import ABUSIVE_ADDRESS, DEAD_LETTERS_LEFT, LOCKED_OUT_USER, STALE_CACHE
from demo.incidents.paused_queue import PAUSED_QUEUE
from demo.incidents.runaway_report import RUNAWAY_REPORT
from demo.incidents.too_many_sessions import TOO_MANY_SESSIONS
from demo.incidents.unproven_backup import UNRESTORED_BACKUP, UNVERIFIED_BACKUP

INCIDENTS: dict[str, Incident] = {
    "idle_transactions": IDLE_TRANSACTIONS,
    "failed_jobs": FAILED_JOBS,
    "old_backup": OLD_BACKUP,
    "too_many_sessions": TOO_MANY_SESSIONS,
    "runaway_report": RUNAWAY_REPORT,
    # Its alert waits for minutes, so `make incident NAME=leaking_service` injects it, and the loop does not.
    "leaking_service": LEAKING_SERVICE,
    # Their alerts wait for an hour, so the incident also starts the remediation, as an operator.
    "unverified_backup": UNVERIFIED_BACKUP,
    "unrestored_backup": UNRESTORED_BACKUP,
    # No alert may start these by itself, so the incident starts the remediation, as an operator.
    "dead_letters": DEAD_LETTERS_LEFT,
    "stale_cache": STALE_CACHE,
    "locked_out_user": LOCKED_OUT_USER,
    "abusive_address": ABUSIVE_ADDRESS,
    "paused_queue": PAUSED_QUEUE,
    "old_files": OLD_FILES,
}

__all__ = ["INCIDENTS", "Incident", "IncidentProof", "Injection"]
