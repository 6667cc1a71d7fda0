"""The remediations: one verb per file, and the map of all.

They plan, apply and verify; the engine decides when they run, and the bounds whether.
"""

from remediator.model.remediation import Remediation
from remediator.remediations import (
    analyze_tables,
    archive_dead_letters,
    block_address,
    cancel_long_queries,
    collect_diagnostics,
    http_call,
    pause_queue,
    prune_backups,
    prune_files,
    reset_rate_limit,
    restart_service,
    restore_drill,
    resume_queue,
    retry_failed_jobs,
    run_backup,
    run_command,
    scale_workers,
    terminate_idle_transactions,
    unlink_prefix,
    vacuum_tables,
    verify_backup,
)

REMEDIATIONS: dict[str, Remediation] = {
    "analyze_tables": analyze_tables.REMEDIATION,
    "cancel_long_queries": cancel_long_queries.REMEDIATION,
    "collect_diagnostics": collect_diagnostics.REMEDIATION,
    "terminate_idle_transactions": terminate_idle_transactions.REMEDIATION,
    "vacuum_tables": vacuum_tables.REMEDIATION,
    "retry_failed_jobs": retry_failed_jobs.REMEDIATION,
    "archive_dead_letters": archive_dead_letters.REMEDIATION,
    "pause_queue": pause_queue.REMEDIATION,
    "resume_queue": resume_queue.REMEDIATION,
    "unlink_prefix": unlink_prefix.REMEDIATION,
    "reset_rate_limit": reset_rate_limit.REMEDIATION,
    "block_address": block_address.REMEDIATION,
    "run_backup": run_backup.REMEDIATION,
    "prune_backups": prune_backups.REMEDIATION,
    "restore_drill": restore_drill.REMEDIATION,
    "verify_backup": verify_backup.REMEDIATION,
    "run_command": run_command.REMEDIATION,
    "http_call": http_call.REMEDIATION,
    "prune_files": prune_files.REMEDIATION,
    "restart_service": restart_service.REMEDIATION,
    "scale_workers": scale_workers.REMEDIATION,
}
