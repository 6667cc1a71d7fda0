"""SQL of ages and times, in the units that are exported."""


def age(since: str) -> str:
    """Return the SQL of the seconds since a time, never less than 0."""
    return f"greatest(extract(epoch FROM clock_timestamp() - {since}), 0)"


def oldest(since: str, condition: str) -> str:
    """Return the SQL of the greatest age among a group's rows that meet a condition, 0 without one."""
    return f"coalesce(max({age(since)}) FILTER (WHERE {condition}), 0)"


def epoch(time: str) -> str:
    """Return the SQL of a time as seconds since 1970; NULL for what never happened, which '-infinity' may stand for."""
    return f"extract(epoch FROM nullif({time}, '-infinity'))"


def seconds(milliseconds: str) -> str:
    """Return the SQL of the server's milliseconds as seconds."""
    return f"{milliseconds} / 1000.0"
