"""Recognizes what kind of work a session's statements are, by their commands."""

from collections.abc import Iterator

from remediator.sql_tokens import tokenize

UNKNOWN = "?"
# Commands that only read or change rows: ending them undoes nothing but their own work.
ROWS = frozenset(
    {"SELECT", "WITH", "VALUES", "TABLE", "INSERT", "UPDATE", "DELETE", "MERGE"}
    | {"EXPLAIN", "EXECUTE", "DECLARE", "FETCH"}
)
# Commands that may stand before or after those in one text, and take no time.
AROUND_ROWS = frozenset(
    {"BEGIN", "START", "SET", "RESET", "SHOW", "SAVEPOINT", "RELEASE", "COMMIT", "END", "ROLLBACK", "ABORT"}
)
# Commands that are slow by nature, and costly to repeat or dangerous to cut.
MAINTENANCE = frozenset(
    {"COPY", "VACUUM", "ANALYZE", "ANALYSE", "CREATE", "REINDEX", "ALTER", "CLUSTER", "REFRESH", "DROP", "TRUNCATE"}
    | {"COMMENT", "GRANT", "REVOKE", "IMPORT", "SECURITY", "CHECKPOINT", "REASSIGN", "REPACK"}
)
# A base backup without a tool's name: these functions wait for a checkpoint, or for WAL to be archived.
_BACKUP_FUNCTIONS = frozenset({"pg_start_backup", "pg_stop_backup", "pg_backup_start", "pg_backup_stop"})


def commands(text: str) -> tuple[str, ...]:
    """Return the first word of each statement in `text`, in upper case; `?` for one that does not begin with a word.

    Comments, literals and opening parentheses do not hide it.
    """
    return tuple(_commands(text))


def _commands(text: str) -> Iterator[str]:
    expected = True
    for token in tokenize(text):
        if token.kind == "comment":
            continue
        if token.kind == "other":
            *_, rest = token.text.rpartition(";")
            expected = expected or ";" in token.text
            is_command = bool(rest.strip(" \t\n\r\f\v("))
        else:
            is_command = True
        if token.kind == "ambiguous" or (expected and is_command):
            yield token.text.upper() if token.kind == "word" else UNKNOWN
            expected = False


def calls_backup_function(text: str) -> bool:
    """Return whether `text` begins or ends a base backup."""
    words = (token.text for token in tokenize(text) if token.kind in ("word", "quoted"))
    return any(word.strip('"').lower() in _BACKUP_FUNCTIONS for word in words)
