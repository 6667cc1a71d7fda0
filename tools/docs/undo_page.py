"""Generate the table of docs/reference/undo.md: how the effects of each remediation are undone."""

from collections.abc import Iterator
from pathlib import Path

from remediator.remediations import REMEDIATIONS
from tools.docs import REFERENCE
from tools.docs.page_parts import replace_part, table
from tools.docs.remediation_cases import UNDONE, cases

PAGE = REFERENCE / "undo.md"


def undo_page() -> Iterator[tuple[Path, str]]:
    """Yield the page with its table generated again."""
    rows = [
        [f"[`{name}`](remediations.md#{name})", remediation.undo.kind, remediation.undo.sentence, _tests(name)]
        for name, remediation in sorted(REMEDIATIONS.items())
    ]
    yield PAGE, replace_part(PAGE, table([["remediation", "undo", "how", "tests"], *rows]))


def _tests(name: str) -> str:
    return "<br>".join(f"`{test}`" for test in cases().get(name, {}).get(UNDONE, ()))
