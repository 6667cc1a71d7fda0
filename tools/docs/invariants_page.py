"""Generate docs/reference/invariants.md: the invariants, their guards and tests."""

from collections.abc import Iterator
from pathlib import Path

from tests.invariants.guards import Invariant, invariants
from tools.docs import REFERENCE
from tools.docs.page_parts import replace_part, table

PAGE = REFERENCE / "invariants.md"


def invariants_page() -> Iterator[tuple[Path, str]]:
    """Yield the page with its table generated again."""
    rows = [row for invariant in invariants() for row in _rows(invariant)]
    yield PAGE, replace_part(PAGE, table([["", "invariant", "guard", "in", "tests that fail without it"], *rows]))


def _rows(invariant: Invariant) -> Iterator[list[str]]:
    """Yield one row per guard; only the first one repeats the invariant."""
    first = [str(invariant.number), invariant.says]
    for guard in invariant.guards:
        yield [*first, guard.guard, f"`{guard.file}`", "<br>".join(f"`{test}`" for test in guard.red)]
        first = ["", ""]
