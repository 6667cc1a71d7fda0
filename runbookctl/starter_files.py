"""Writes the starter files of a new installation."""

import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from runbookctl.errors import InitError
from runbookctl.runbook_sets import Modes, Runbook, runbook_set

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def write_examples(folder: str, stack: str) -> Sequence[Path]:
    """Write `inventory.yml` and `thresholds.yml` for `stack`, and return their paths.

    Raises:
        InitError: the folder is not empty or cannot be written, or the name is not valid.
    """
    return _write_files(folder, stack, {name: _example(name, stack) for name in ("inventory.yml", "thresholds.yml")})


def write_runbook(folder: str, stack: str, runbook: Runbook, modes: Modes) -> Sequence[Path]:
    """Write the complete set of a runbook for `stack`, and return the paths of its files.

    Raises:
        InitError: the folder is not empty or cannot be written, or the name is not valid.
    """
    return _write_files(folder, stack, runbook_set(runbook, stack, modes))


def _write_files(folder: str, stack: str, texts: Mapping[str, str]) -> Sequence[Path]:
    if not _NAME.fullmatch(stack):
        raise InitError(
            f"{stack!r} is not a valid name; use lower-case letters, digits and single underscores, as in my_shop"
        )
    directory = Path(folder)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise InitError(f"{directory} is not empty; choose a new folder")
        for name, text in texts.items():
            (directory / name).write_text(text, encoding="utf-8")
        return [directory / name for name in texts]
    except OSError as error:
        raise InitError(f"cannot write to {directory}: {error.strerror}") from None


def _example(name: str, stack: str) -> str:
    text = resources.files("runbookctl").joinpath("examples", name).read_text(encoding="utf-8")
    return text.replace("STACK", stack)
