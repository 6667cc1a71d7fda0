"""The tables of docs/reference/alerts.md, from alert_rules/ and its thresholds."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from runbookd.yaml_text import load_yaml
from tools.docs import REFERENCE, ROOT

PAGE = REFERENCE / "alerts.md"
RULES = ROOT / "alert_rules"
SEVERITIES = ("critical", "warning", "info")
_ALERTS, _NUMBERS = "alerts", "numbers"


def alerts_page() -> Iterator[tuple[Path, str]]:
    """Yield the page with its tables generated again."""
    text = PAGE.read_text(encoding="utf-8")
    for name, table in ((_ALERTS, _alerts_table()), (_NUMBERS, _numbers_table())):
        place = re.compile(rf"(?<=<!-- {name}: written by `make docs` -->\n).*?(?=<!-- end of {name} -->)", re.DOTALL)
        if len(place.findall(text)) != 1:
            raise ValueError(
                f"{PAGE.name}: expected one pair of `{name}` markers; restore the comments around the table"
            )
        text = place.sub(table.replace("\\", r"\\"), text)
    yield PAGE, text


def _alerts_table() -> str:
    rows: dict[tuple[str, ...], list[str]] = {}
    for file in sorted(RULES.glob("*.yml")):
        for rule in _rules(file):
            if "alert" in rule:
                rows.setdefault(_alert_row(rule), []).append(rule["labels"]["severity"])
    lines = [
        [f"`{name}`", ", ".join(sorted(set(severities), key=SEVERITIES.index)), *rest]
        for (name, *rest), severities in rows.items()
    ]
    return _table(["alert", "severity", "for", "remediation", "summary"], lines)


def _alert_row(rule: Mapping[str, Any]) -> tuple[str, ...]:
    remediation = rule["labels"].get("remediation", "")
    duration = f"{rule['for']}, stays {rule['keep_firing_for']}" if "keep_firing_for" in rule else rule["for"]
    summary = re.sub(r"\{\{ (?:with )?\$labels\.(\w+).*?\}\}", r"*\1*", rule["annotations"]["summary"])
    summary = re.sub(r"\{\{ \$value.*?\}\}", "…", summary).replace("{{ . }}", "").replace("{{ end }}", "")
    return rule["alert"], duration, f"`{remediation}`" if remediation else "", summary


def _numbers_table() -> str:
    stacks = [file.stem for file in sorted((RULES / "thresholds").glob("*.yml"))]
    rows: dict[str, dict[str, list[str]]] = {}
    for stack in stacks:
        for rule in _rules(RULES / "thresholds" / f"{stack}.yml"):
            quantity, cell = _number(rule)
            rows.setdefault(quantity, {}).setdefault(stack, []).append(cell)
    lines = [[f"`{name}`", *("<br>".join(rows[name].get(stack, [])) for stack in stacks)] for name in sorted(rows)]
    return _table(["quantity", *stacks], lines)


def _number(rule: Mapping[str, Any]) -> tuple[str, str]:
    """Return the quantity and its cell: number, severity and priority, or `silent`."""
    kind = f" of {rule['labels']['kind']} backups" if "kind" in rule["labels"] else ""
    if rule["record"] == "runbook:silent":
        return rule["labels"]["quantity"] + kind, "silent"
    if rule["record"] == "runbook:respond_within_seconds":
        return "respond_within_seconds", f"{rule['expr']} ({rule['labels']['priority']})".replace("*", r"\*")
    _, quantity, severity = rule["record"].split(":")
    priority = f" {rule['labels']['priority']}" if "priority" in rule["labels"] else ""
    return quantity + kind, f"{rule['expr']} ({severity}{priority})".replace("*", r"\*")


def _rules(file: Path) -> Iterator[Mapping[str, Any]]:
    for group in load_yaml(file.read_text(encoding="utf-8"))["groups"]:
        yield from group["rules"]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
