"""Runs `runbookctl check` over the files of a folder, and edits them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner

from runbookctl.main import app

Change = Callable[[Any], object]


def check(folder: Path, *more: str) -> tuple[int, dict[str, Any]]:
    arguments = [f"--{name.partition('.')[0]}={folder / name}" for name in ("alertmanager.yml", "prometheus.yml")]
    inventory = f"--config.file={folder / 'inventory.yml'}"
    result = CliRunner().invoke(app, ["check", inventory, *arguments, "-o", "json", *more], catch_exceptions=False)
    answer: dict[str, Any] = json.loads(result.stdout)
    assert "hunter2" not in result.stdout
    return result.exit_code, answer


def change(file: Path, edit: Change) -> None:
    document = yaml.safe_load(file.read_text())
    edit(document)
    file.write_text(yaml.safe_dump(document, sort_keys=False))


def stack_of(document: Any) -> Any:
    return document["stacks"]["shop"]


def second_route(document: Any) -> Any:
    return document["route"]["routes"][1]
