"""Prints duties and windows."""

from collections.abc import Iterator
from datetime import UTC, datetime

from rich.console import Console

from runbookctl.printing.answers import Format, Row, as_json, day, table


def duties(console: Console, answer: Row, output: Format) -> None:
    """Print one line per duty."""
    if output is Format.JSON:
        as_json(answer)
        return
    rows = [
        {
            **each,
            "state": each["state"].replace("_", " "),
            "due": _date(each["due_at"]),
            "every": _days(each["every_seconds"]),
            "last done": _date(each["last_done_at"]) if each["last_done_at"] else "never",
            "by": each["last_done_by"] or "",
        }
        for each in answer["duties"]
    ]
    columns = ("due", "state", "priority", "stack", "duty", "every", "last done", "by", "note")
    table(console, columns, rows, no_wrap=columns[:6])


def windows(console: Console, answer: Row, output: Format) -> None:
    """Print one line per opening, freeze and announcement, in the order of their times."""
    if output is Format.JSON:
        as_json(answer)
        return
    rows = sorted((row for each in answer["windows"] for row in _window_rows(each)), key=lambda row: row["at"])
    for row in rows:
        row["when"] = f"{datetime.fromisoformat(row['at']).astimezone(UTC):%a} {day(row['at'])}"
    table(console, ("when", "stack", "event", "detail"), rows, no_wrap=("when", "stack"))


def _window_rows(each: Row) -> Iterator[dict[str, str]]:
    stack, until = each["stack"], f"until {day(each['closes_at'])}"
    if "freeze" in each:
        yield {
            "at": each["opens_at"],
            "stack": stack,
            "event": f"freeze {each['freeze']}",
            "detail": _joined(until, each),
        }
        return
    yield {"at": each["opens_at"], "stack": stack, "event": f"window {each['window']}", "detail": until}
    for announcement in each["announcements"]:
        to = f"to {', '.join(announcement['contacts'])}" if announcement["contacts"] else "listed only"
        event = f"announcement {announcement['name']} of {each['window']}"
        detail = ": ".join(part for part in (to, announcement["text"]) if part)
        yield {"at": announcement["due_at"], "stack": stack, "event": event, "detail": detail}


def _joined(until: str, freeze: Row) -> str:
    return f"{until}: {freeze['reason']}" if freeze["reason"] else until


def _date(text: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d}"


def _days(seconds: float) -> str:
    return f"{seconds / 86_400:.0f}d" if seconds >= 2 * 86_400 else f"{seconds / 3_600:.0f}h"
