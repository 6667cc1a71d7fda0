"""The words of an act: of its button, as in `Terminate 3 sessions on shop/main`, and of what was done."""

from collections.abc import Mapping
from dataclasses import dataclass

from remediator.model.episode_key import EpisodeKey
from remediator.model.remediation import ItemState


@dataclass(frozen=True)
class ActWords:
    """A verb, its past form, and the noun of the items.

    Without a noun the number is always one, and `{}` in `verb` and `done` is the target.
    """

    verb: str
    done: str
    noun: str = ""
    plural: str = ""


# A remediation that is missing here is named as it is, with the number of its items.
WORDS = {
    "analyze_tables": ActWords("Analyze", "analyzed", "table", "tables"),
    "archive_dead_letters": ActWords("Archive", "archived", "dead job", "dead jobs"),
    "block_address": ActWords("Block the address on {}", "Blocked the address on {}"),
    "cancel_long_queries": ActWords("Cancel", "cancelled", "query", "queries"),
    "collect_diagnostics": ActWords("Read", "read", "part", "parts"),
    "http_call": ActWords("Make the HTTP call {}", "Made the HTTP call {}"),
    "pause_queue": ActWords("Pause the queue {}", "Paused the queue {}"),
    "prune_backups": ActWords("Delete", "deleted", "old backup", "old backups"),
    "prune_files": ActWords("Delete", "deleted", "old file", "old files"),
    "reset_rate_limit": ActWords("Reset", "reset", "rate limit", "rate limits"),
    "restart_service": ActWords("Restart the service {}", "Restarted the service {}"),
    "restore_drill": ActWords(
        "Restore a backup of {} into a scratch database", "Restored a backup of {} into a scratch database"
    ),
    "resume_queue": ActWords("Resume the queue {}", "Resumed the queue {}"),
    "retry_failed_jobs": ActWords("Retry", "retried", "failed job", "failed jobs"),
    "run_backup": ActWords("Make a backup of {}", "Made a backup of {}"),
    "run_command": ActWords("Run the command {}", "Ran the command {}"),
    "scale_workers": ActWords("Change the number of workers of {}", "Changed the number of workers of {}"),
    "terminate_idle_transactions": ActWords("Terminate", "terminated", "session", "sessions"),
    "unlink_prefix": ActWords("Delete", "deleted", "key", "keys"),
    "vacuum_tables": ActWords("Vacuum", "vacuumed", "table", "tables"),
    "verify_backup": ActWords("Verify the newest backup of {}", "Verified the newest backup of {}"),
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


def done_words(key: EpisodeKey, counts: Mapping[ItemState, int], undoes: int | None = None) -> str:
    """Return what became of the items of a run, as in `2 of 3 sessions terminated, 1 skipped`; empty without any."""
    total, applied = sum(counts.values()), counts.get(ItemState.APPLIED, 0)
    if not total:
        return ""
    words = WORDS.get(key.remediation)
    if undoes is None and words is not None and not words.noun and applied == total:
        return words.done.format(short_target(key.target))
    done = "put back" if undoes is not None else words.done if words is not None and words.noun else "applied"
    others = [
        f"{number} {state.replace('_', ' ')}" for state, number in counts.items() if state is not ItemState.APPLIED
    ]
    return ", ".join([f"{applied} of {total} {items_noun(key, total, undoes)} {done}", *others])


def items_noun(key: EpisodeKey, count: int, undoes: int | None = None) -> str:
    """Return what the items of a run are called, in the number of `count`."""
    words = WORDS.get(key.remediation)
    if undoes is not None or words is None or not words.noun:
        return "item" if count == 1 else "items"
    return words.noun if count == 1 else words.plural


def short_target(target: str) -> str:
    """Return a canonical target without its kind: `shop/main` for `shop/postgres/main`."""
    stack, _, rest = target.partition("/")
    kind, _, name = rest.partition("/")
    return stack if kind == "stack" else f"{stack}/{name}" if name else target
