"""Prints what the remediator answers: tables for people, JSON for programs."""

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from rich.console import Console
from rich.table import Table


class Format(StrEnum):
    """How an answer is printed."""

    TEXT = "text"
    JSON = "json"


def runs(console: Console, answer: Mapping[str, Any], output: Format) -> None:
    """A line a run, newest first."""
    columns = ("id", "created_at", "remediation", "target", "state", "reason")
    _rows(console, answer, output, answer["runs"], columns)


def breakers(console: Console, answer: Mapping[str, Any], output: Format) -> None:
    """A line an open breaker."""
    _rows(console, answer, output, answer["breakers"], ("opened_at", "remediation", "target", "reason", "run"))


def said(console: Console, answer: Mapping[str, Any], output: Format, sentence: str) -> None:
    """The answer to something that was told: a sentence for people."""
    if output is Format.JSON:
        as_json(answer)
    else:
        console.print(sentence, highlight=False)


def run(console: Console, answer: Mapping[str, Any], output: Format) -> None:
    """One run from its plan to its proof."""
    if output is Format.JSON:
        as_json(answer)
        return
    console.print(f"run {answer['id']}: {answer['remediation']} on {answer['target']}", highlight=False)
    console.print(f"{answer['state']} {answer['reason']}".rstrip(), style="bold", highlight=False)
    console.print(table(("at", "state", "actor", "reason"), answer["history"]))
    items = [{**item, "identity": compact(item["identity"])} for item in answer["items"]]
    if items:
        console.print(table(("state", "identity", "detail"), items))
    for name, value in answer["evidence"].items():
        console.print(f"{name}: {compact(value)}", highlight=False)


def _rows(
    console: Console,
    answer: Mapping[str, Any],
    output: Format,
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
) -> None:
    if output is Format.JSON:
        as_json(answer)
    elif rows:
        console.print(table(columns, rows))
    else:
        console.print("none")


def table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Table:
    """A plain table of these columns."""
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*("" if row[column] is None else str(row[column]) for column in columns))
    return table


def as_json(answer: Mapping[str, Any]) -> None:
    """The answer as it came, for programs."""
    print(json.dumps(answer, indent=2, ensure_ascii=False))


def compact(value: Any) -> str:
    """A value in one line."""
    return json.dumps(value, ensure_ascii=False)
