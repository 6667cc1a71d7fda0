"""Generate the texts of docs/reference/permanent-fixes.md: the fix of each remediation, for a sample stack."""

from collections.abc import Iterator
from pathlib import Path

from remediator.model.permanent_fix import Cause, Fix
from remediator.model.remediation import PermanentFix, Remediation, Scope, TargetName
from remediator.remediations import REMEDIATIONS
from runbookd.inventory import RemediationSettings, Stack
from tools.docs import REFERENCE
from tools.docs.page_parts import replace_part

PAGE = REFERENCE / "permanent-fixes.md"
STACK = Stack.model_validate(
    {
        "postgres": {"main": {"dsn": "postgresql://db/shop"}},
        "redis": {"main": {"url": "redis://cache", "caches": {"oauth": {"prefix": "oauth:"}}}},
        "queues": {"main": {"redis": "main"}},
        "folders": {"main": {"path": "/var/log/shop", "pattern": "*.log*", "older_than": "14d", "keep": 7}},
        "services": {"main": {"pm2": {"name": "shop-worker"}, "workers": {"max": 8}}},
    }
)
TRAITS = {
    "role": "billing",
    "application": "invoices",
    "command": "SELECT",
    "schema": "public",
    "table": "orders",
    "name": "send-invoice",
    "error": "TimeoutError",
    "cache": "oauth",
    "limit": "user",
    "block": "address",
    "state": "failed",
    "to": "4",
}
NUMBERS = {"dead": 40_000, "modified": 12_000, "attempts_made": 1}


def permanent_fixes_page() -> Iterator[tuple[Path, str]]:
    """Yield the page with its texts generated again."""
    yield PAGE, replace_part(PAGE, "\n".join(_section(REMEDIATIONS[name]) for name in sorted(REMEDIATIONS)))


def _section(remediation: Remediation) -> str:
    declared = remediation.permanent_fix
    queue = "emails" if remediation.kind == "queues" else None
    scope = Scope(STACK, TargetName("shop", remediation.kind, "main", queue), RemediationSettings(), "docs")
    fix = declared.write(scope, [_cause(declared)])
    evidence = ", ".join((*declared.names, *declared.traits)) or "none besides the target"
    facts = f"From {declared.after} times in seven days. Evidence: {evidence}."
    return f"### {remediation.name}\n\n{facts}\n\n{_text(fix)}"


def _cause(declared: PermanentFix) -> Cause:
    traits = {name: TRAITS[name] for name in (*declared.names, *declared.traits)}
    return Cause(traits, 7, {name: NUMBERS[name] for name in declared.numbers})


def _text(fix: Fix) -> str:
    return f"{fix.advice}\n" + (f"\n```{fix.language}\n{fix.snippet}\n```\n" if fix.snippet else "")
