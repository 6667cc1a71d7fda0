"""The names of the remediations: each is a file in remediator/remediations/.

They are here so that the exporter's check finds a misspelt one, too.
"""

REMEDIATION_NAMES = frozenset(
    {
        "analyze_tables",
        "archive_dead_letters",
        "block_address",
        "cancel_long_queries",
        "collect_diagnostics",
        "http_call",
        "pause_queue",
        "prune_backups",
        "prune_files",
        "reset_rate_limit",
        "restart_service",
        "restore_drill",
        "resume_queue",
        "retry_failed_jobs",
        "run_backup",
        "run_command",
        "scale_workers",
        "terminate_idle_transactions",
        "unlink_prefix",
        "vacuum_tables",
        "verify_backup",
    }
)
