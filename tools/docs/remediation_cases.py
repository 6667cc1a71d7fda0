"""Generate docs/reference/remediation-cases.md: the tests of what each remediation may meet."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from runbookd.yaml_text import load_yaml
from tools.docs import REFERENCE, ROOT
from tools.docs.page_parts import replace_part, table

PAGE = REFERENCE / "remediation-cases.md"
FILE = ROOT / "tests" / "integration" / "remediator" / "remediations" / "cases.yml"
CASES = ("done", "nothing to do", "identity changed", "crash before or after the effect", "missing right")
UNDONE = "undone"  # a further case of each remediation with an exact undo; docs/reference/undo.md shows it

Tests = Sequence[str] | str
"""The tests of a case, or the reason why it cannot occur."""


def cases() -> Mapping[str, Mapping[str, Tests]]:
    """Return the cases of each remediation."""
    loaded: Mapping[str, Mapping[str, Tests]] = load_yaml(FILE.read_text(encoding="utf-8"))
    return loaded


def remediation_cases_page() -> Iterator[tuple[Path, str]]:
    """Yield the page with its table generated again."""
    rows = [[f"`{name}`", case, _cell(of_case[case])] for name, of_case in cases().items() for case in CASES]
    yield PAGE, replace_part(PAGE, table([["remediation", "case", "tests"], *rows]))


def _cell(tests: Tests) -> str:
    return tests if isinstance(tests, str) else "<br>".join(f"`{test.rpartition('/')[2]}`" for test in tests)
