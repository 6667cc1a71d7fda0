"""Generate the list of refused commands in docs/reference/never.md."""

from collections.abc import Iterator
from pathlib import Path

from remediator.forbidden_commands import forbidden_names
from tools.docs import REFERENCE
from tools.docs.page_parts import replace_part

PAGE = REFERENCE / "never.md"


def never_page() -> Iterator[tuple[Path, str]]:
    """Yield the page with the list that the remediator uses."""
    yield PAGE, replace_part(PAGE, "".join(f"- {name}\n" for name in forbidden_names()))
