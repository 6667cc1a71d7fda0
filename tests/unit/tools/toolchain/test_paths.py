"""A program that was not fetched names the command that fetches it."""

from pathlib import Path

import pytest

from tools.toolchain import paths
from tools.toolchain.errors import SetupError


@pytest.mark.parametrize(
    ("name", "group", "command"),
    [
        ("postgres", "servers", "make setup"),
        ("chromium", "browser", "make browser"),
        ("pngquant", "pictures", "make pictures"),
        ("redis_exporter", "exporters", "python3 -m tools.toolchain exporters"),
    ],
)
def test_missing_program_names_the_command_that_fetches_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, group: str, command: str
) -> None:
    monkeypatch.setattr(paths, "TOOLS", tmp_path)
    with pytest.raises(SetupError, match=f"^{name} is missing .*: run {command}$"):
        paths.launcher(name, group)
