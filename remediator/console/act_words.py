"""The words of a button that acts: a verb, a number and the target, as in `Terminate 3 sessions on shop/main`."""

from dataclasses import dataclass

from remediator.model.episode_key import EpisodeKey


@dataclass(frozen=True)
class ActWords:
    """A verb, and the noun of the items. Without a noun the number is always one, and `{}` in `verb` is the target."""

    verb: str
    noun: str = ""
    plural: str = ""


# A remediation that is missing here is named as it is, with the number of its items.
WORDS = {
    "analyze_tables": ActWords("Analyze", "table", "tables"),
    "archive_dead_letters": ActWords("Archive", "dead job", "dead jobs"),
    "block_address": ActWords("Block the address on {}"),
    "cancel_long_queries": ActWords("Cancel", "query", "queries"),
    "collect_diagnostics": ActWords("Read", "part", "parts"),
    "http_call": ActWords("Make the HTTP call {}"),
    "pause_queue": ActWords("Pause the queue {}"),
    "prune_backups": ActWords("Delete", "old backup", "old backups"),
    "prune_files": ActWords("Delete", "old file", "old files"),
    "reset_rate_limit": ActWords("Reset", "rate limit", "rate limits"),
    "restart_service": ActWords("Restart the service {}"),
    "restore_drill": ActWords("Restore a backup of {} into a scratch database"),
    "resume_queue": ActWords("Resume the queue {}"),
    "retry_failed_jobs": ActWords("Retry", "job", "jobs"),
    "run_backup": ActWords("Make a backup of {}"),
    "run_command": ActWords("Run the command {}"),
    "scale_workers": ActWords("Change the number of workers of {}"),
    "terminate_idle_transactions": ActWords("Terminate", "session", "sessions"),
    "unlink_prefix": ActWords("Delete", "key", "keys"),
    "vacuum_tables": ActWords("Vacuum", "table", "tables"),
    "verify_backup": ActWords("Verify the newest backup of {}"),
}


def act_words(key: EpisodeKey, count: int, undoes: int | None = None) -> str:
    """Return what a yes does: to `count` items of the target of `key`, or that it undoes the run `undoes`."""
    place = short_target(key.target)
    if undoes is not None:
        return f"Undo run {undoes}: put back {count} {'item' if count == 1 else 'items'} on {place}"
    words = WORDS.get(key.remediation)
    if words is None:
        name = key.remediation.replace("_", " ").capitalize()
        return f"{name}: {count} {'item' if count == 1 else 'items'} on {place}"
    if not words.noun:
        return words.verb.format(place)
    return f"{words.verb} {count} {words.noun if count == 1 else words.plural} on {place}"


def short_target(target: str) -> str:
    """Return a canonical target without its kind: `shop/main` for `shop/postgres/main`."""
    stack, _, rest = target.partition("/")
    kind, _, name = rest.partition("/")
    return stack if kind == "stack" else f"{stack}/{name}" if name else target
