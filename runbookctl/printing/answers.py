"""Prints the remediator's answers: tables and lines for operators, JSON for programs."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from remediator.model.logfmt import format_evidence, format_pairs
from runbookctl.output import is_unicode

Row = Mapping[str, Any]
MODES = ("auto", "approve", "shadow", "off")  # from the most to the least that a remediation may do
READS = "built in, only reads:"
_MIN_WIDTHS = {"target": 18}  # characters: a narrower column would fold within a name


class Format(StrEnum):
    """The output format of an answer."""

    TEXT = "text"
    JSON = "json"


def runs(console: Console, answer: Row, output: Format) -> None:
    """Print one line per run, newest first, and the hint for older runs on stderr."""
    if output is Format.JSON:
        as_json(answer)
        return
    show_runs(console, answer["runs"])
    if answer["next"] is not None:
        print(f"older runs: --before {answer['next']}", file=sys.stderr)


def show_runs(console: Console, items: Sequence[Row]) -> None:
    """Print one line per run: its items that were applied of all, and the time from its plan to its end."""
    rows = [
        {
            **run,
            "began": day(run["created_at"]),
            "outcome": f"{run['state']} {run['reason']}".rstrip(),
            "items": _applied(run["items"]),
            "took": _duration(run),
        }
        for run in items
    ]
    columns = ("id", "began", "took", "items", "remediation", "target", "outcome")
    table(console, columns, rows, no_wrap=columns[:5])


def _applied(items: Sequence[Row]) -> str:
    """Return how many of the items were applied, as in `2/3`."""
    return f"{sum(item['state'] == 'applied' for item in items)}/{len(items)}"


def _duration(run: Row) -> str:
    """Return the time from the plan to the end; empty while the run has not ended."""
    if run["finished_at"] is None:
        return ""
    seconds = (datetime.fromisoformat(run["finished_at"]) - datetime.fromisoformat(run["created_at"])).total_seconds()
    return f"{seconds:.1f}s" if seconds < 60 else f"{int(seconds // 60)}m{int(seconds % 60):02}s"


def outcome(run: Row) -> str:
    """Return a run's state, with its reason."""
    return f"{run['state']} ({run['reason']})" if run["reason"] else str(run["state"])


def breakers(console: Console, answer: Row, output: Format) -> None:
    """Print one line per open breaker."""
    if output is Format.JSON:
        as_json(answer)
    else:
        show_breakers(console, answer["breakers"])


def show_breakers(console: Console, items: Sequence[Row]) -> None:
    """Print one line per breaker."""
    rows = [{**each, "opened": day(each["opened_at"])} for each in items]
    table(console, ("opened", "remediation", "target", "run", "reason"), rows, no_wrap=("opened", "remediation"))


def contacts(console: Console, answer: Row, output: Format) -> None:
    """Print one line per contact."""
    if output is Format.JSON:
        as_json(answer)
        return
    rows = [
        {**each, "last success": _short(each["last_success_at"]), "last failure": _failure(each)}
        for each in answer["contacts"]
    ]
    columns = ("name", "kind", "unsent", "last success", "last failure")
    table(console, columns, rows, no_wrap=columns[:4])


def _short(text: str | None) -> str:
    return day(text) if text else "none"


def _failure(contact: Row) -> str:
    at = contact["last_failure_at"]
    return f"{day(at)} {contact['last_failure']}" if at else "none"


def status(console: Console, answer: Row) -> None:
    """Print the remediator's health, its pauses, and what awaits the operator."""
    line(console, f"trouble: {answer['trouble']}" if answer["trouble"] else "status: ok", style="bold")
    if answer["leader"] or not answer["leads"]:
        line(console, _leader(answer))
    for each in answer["pauses"]:
        line(console, f"paused: {pause(each)}")
    if not answer["pauses"]:
        line(console, "nothing is paused")
    for name, modes in answer["stacks"].items():
        line(console, f"stack {name}: {_modes(modes, answer['only_read'])}")
    for title, items, show in (
        ("open breakers", answer["breakers"], show_breakers),
        ("unfinished runs", answer["runs"], show_runs),
    ):
        line(console, f"{title}: {len(items) or 'none'}")
        if items:
            show(console, items)
    line(console, f"undelivered notifications: {answer['messages_unsent'] or 'none'}")


def _leader(answer: Row) -> str:
    """Return which of several replicas leads."""
    if answer["leader"] is None:
        return "no replica leads; one does within 15 s"
    whose = "this replica" if answer["leads"] else "another replica"
    return f"{whose} leads: {answer['leader']['name']}, since {moment(answer['leader']['since'])[:19]} UTC"


def _modes(modes: Mapping[str, str], only_read: Sequence[str]) -> str:
    """Return the remediations of each mode, as in `auto a, b; shadow c`.

    Those that only read are in mode auto without an entry in the inventory, and stand last: they act on nothing.
    """
    shown = {name: READS if name in only_read and mode == "auto" else mode for name, mode in modes.items()}
    groups = {mode: [name for name, its_mode in shown.items() if its_mode == mode] for mode in (*MODES, READS)}
    return "; ".join(f"{mode} {', '.join(names)}" for mode, names in groups.items() if names) or "no remediation"


def pause(each: Row) -> str:
    """Return one pause as a line. The reason of a pause by file already names the file."""
    until = f", until {moment(each['until'])[:19]} UTC" if each["until"] else ""
    by = f" (by {each['begun_by']}{until})" if each["begun_by"] else ""
    return f"{each['stack'] or 'everything'}: {each['reason']}{by}"


def print_result(console: Console, answer: Row, output: Format, sentence: str) -> None:
    """Print the result of a command: `sentence`, or the answer as JSON."""
    if output is Format.JSON:
        as_json(answer)
    else:
        line(console, sentence)


def run(console: Console, answer: Row, output: Format) -> None:
    """Print one run, from its plan to its verification."""
    if output is Format.JSON:
        as_json(answer)
        return
    head(console, answer)
    line(console, _cause(answer))
    if problem := answer.get("recurring"):  # unknown to a remediator of an earlier release
        line(console, f"the {problem['ordinal']} time in seven days; permanent fix: {problem['fix']['advice']}")
        for each in problem["fix"]["snippet"].splitlines():
            line(console, f"  {each}".rstrip())
    history = [{**each, "at": moment(each["at"])} for each in answer["history"]]
    table(console, ("at", "state", "actor", "reason"), history, no_wrap=("at",))
    for item in answer["items"]:
        line(console, item_line(item))
    for name, value in answer["evidence"].items():
        if name not in ("bounds", "judged", "requested") and (text := format_evidence(value)):
            line(console, f"{name}: {text}")
    for then, details in answer["evidence"].get("bounds", {}).items():
        for name, detail in details.items():
            line(console, f"{then.replace('_', ' ')} {name}: {detail}")


def _cause(answer: Row) -> str:
    """Return what has started the run; a remediator of an earlier release knows only alerts."""
    if answer.get("trigger") == "end":
        return f"undoes run {answer['undoes']}, whose end had come"
    if answer.get("trigger") == "operator":
        reason = answer["evidence"].get("requested", {}).get("reason")
        undone = f", undoes run {answer['undoes']}" if answer["undoes"] else ""
        return f"started by {answer['requested_by']}{f': {reason}' if reason else ''}{undone}"
    alerts = ", ".join(answer["alerts"]) or "none"
    return f"alerts: {alerts}, firing since {moment(answer['firing_since'])}, episode {answer['episode']}"


def head(console: Console, answer: Row) -> None:
    """Print the run's number, remediation, target and state."""
    line(console, f"run {answer['id']}: {answer['remediation']} on {answer['target']}")
    line(console, outcome(answer), style="bold")


def item_line(item: Row) -> str:
    """Return an item as a line with its evidence. An item of a plan has no state yet."""
    state = f"{item['state']}: " if "state" in item else ""
    return f"  {state}{format_pairs({**item['identity'], **item['evidence']})} {item.get('detail', '')}".rstrip()


def line(console: Console, text: str, style: str | None = None) -> None:
    """Print one line without wrapping it, so that it can be copied."""
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def table(console: Console, columns: Sequence[str], rows: Sequence[Row], no_wrap: Sequence[str] = ()) -> None:
    """Print a plain table, or `none`: padded on a terminal; in a pipe with tabs, and `-` for an empty cell.

    Columns in `no_wrap` are never folded.
    """
    cells = [["" if row[column] is None else str(row[column]) for column in columns] for row in rows]
    if not rows:
        line(console, "none")
    elif console.is_terminal:
        console.print(_padded_table(columns, cells, no_wrap))
    else:
        for words in (columns, *cells):
            print("\t".join(" ".join(word.split()) or "-" for word in words), file=console.file)  # rich expands tabs


def _padded_table(columns: Sequence[str], rows: Sequence[Sequence[str]], no_wrap: Sequence[str]) -> Table:
    result = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style=None)
    for column in columns:
        result.add_column(column, overflow="fold", no_wrap=column in no_wrap, min_width=_MIN_WIDTHS.get(column))
    for row in rows:
        result.add_row(*(escape(word) for word in row))
    return result


def day(text: str) -> str:
    """Return a time in UTC, short enough for a list; a date only if it is of another year."""
    when = datetime.fromisoformat(text).astimezone(UTC)
    return f"{when:%m-%d %H:%M}" if when.year == datetime.now(UTC).year else f"{when:%Y-%m-%d}"


def moment(text: str | None) -> str:
    """Return a time in UTC, to the millisecond."""
    if text is None:
        return ""
    when = datetime.fromisoformat(text).astimezone(UTC)
    return f"{when:%Y-%m-%d %H:%M:%S}.{when.microsecond // 1000:03}Z"


def as_json(answer: Row) -> None:
    """Print the answer unchanged, for programs."""
    print(json_text(answer))


def json_text(answer: Row) -> str:
    """Return the answer as JSON that standard output can hold."""
    return json.dumps(answer, indent=2, ensure_ascii=not is_unicode())
