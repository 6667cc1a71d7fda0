"""The remediations: one verb a file, and this one map."""

from remediator.remediations.base import Remediation
from remediator.remediations.retry_failed_jobs import retry_failed_jobs
from remediator.remediations.run_backup import run_backup
from remediator.remediations.terminate_idle_transactions import terminate_idle_transactions

REMEDIATIONS: dict[str, Remediation] = {
    "terminate_idle_transactions": terminate_idle_transactions,
    "retry_failed_jobs": retry_failed_jobs,
    "run_backup": run_backup,
}
