"""docs/reference/runbookctl.md describes every command."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from runbookctl.main import app

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "runbookctl.md").read_text(encoding="utf-8")


def names_of(command: Any, *group: str) -> Iterator[str]:
    for name, inner in getattr(command, "commands", {}).items():
        yield " ".join((*group, name))
        yield from names_of(inner, *group, name)


@pytest.mark.parametrize("name", list(names_of(get_command(app))))
def test_every_command_is_described(name: str) -> None:
    described = re.search(rf"`(runbookctl )?{name}\b", PAGE)
    assert described is not None, f"describe `{name}` in docs/reference/runbookctl.md"
