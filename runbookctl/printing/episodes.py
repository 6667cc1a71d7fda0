"""Prints episodes: what fires since when, and who has it in hand."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from runbookctl.printing.answers import Row, day, line, moment, table


def show_list(console: Console, episodes: Sequence[Row]) -> None:
    """Print one line per episode."""
    columns = ("id", "priority", "since", "alerts", "target", "in_hand")
    table(console, columns, [_row(each) for each in episodes], no_wrap=columns[:3])


def show(console: Console, episode: Row) -> None:
    """Print one episode."""
    line(console, f"episode {episode['id']}: {episode['remediation']} on {episode['target']}", style="bold")
    line(console, f"alerts: {', '.join(episode['alerts']) or 'none'}{_priority(episode)}")
    line(console, f"firing since {moment(episode['firing_since'])}, last confirmed {moment(episode['confirmed_at'])}")
    if episode["ended_at"]:
        line(console, f"ended {moment(episode['ended_at'])}: {episode['end_reason']}")
    line(console, f"in hand: {in_hand(episode)}")
    if episode["acknowledged"] and episode["acknowledged"]["note"]:
        line(console, f"note: {episode['acknowledged']['note']}")
    if episode["waiting_since"]:
        line(console, f"acknowledge it: runbookctl ack {episode['id']}")


def in_hand(episode: Row) -> str:
    """Return who has an episode in hand until when, or since when it waits for an operator."""
    current = episode["acknowledged"]
    if current:
        return f"{current['by']} until {moment(current['until'])}" if current["until"] else str(current["by"])
    if episode["waiting_since"]:
        return f"nobody, since {day(episode['waiting_since'])}"
    return "over" if episode["ended_at"] else "an operator's run"


def _row(episode: Row) -> dict[str, Any]:
    return {
        **episode,
        "since": day(episode["firing_since"]),
        "alerts": ", ".join(episode["alerts"]),
        "in_hand": in_hand(episode),
    }


def _priority(episode: Row) -> str:
    return f" ({episode['priority']})" if episode["priority"] else ""
