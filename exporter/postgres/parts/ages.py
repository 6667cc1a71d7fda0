"""SQL of ages, times and distances in exported units; unknown values stay NULL."""


def age(since: str) -> str:
    """Return the SQL of the seconds from a time to the start of the statement, at least 0."""
    return never_negative(f"extract(epoch FROM now() - {since})")


def never_negative(number: str) -> str:
    """Return the SQL of a number, or 0 if it is negative.

    greatest() would also turn NULL into 0.
    """
    return f"CASE WHEN {number} < 0 THEN 0 ELSE {number} END"


def oldest(since: str, condition: str) -> str:
    """Return the SQL of the greatest age of a group's rows with a condition, 0 without any."""
    return f"coalesce(max({age(since)}) FILTER (WHERE {condition}), 0)"


def epoch(time: str) -> str:
    """Return the SQL of a time as seconds since 1970; NULL for NULL and '-infinity' (never)."""
    return f"extract(epoch FROM nullif({time}, '-infinity'))"


def seconds(milliseconds: str) -> str:
    """Return the SQL of the server's milliseconds as seconds."""
    return f"{milliseconds} / 1000.0"
