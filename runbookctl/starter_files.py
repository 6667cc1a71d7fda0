"""Writes the starter files of a new installation."""

import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from runbookctl.errors import InitError

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def write_examples(folder: str, stack: str) -> Sequence[Path]:
    """Write `inventory.yml` and `thresholds.yml` for `stack`, and return their paths.

    Raises:
        InitError: the folder is not empty or cannot be written, or the name is not valid.
    """
    if not _NAME.fullmatch(stack):
        raise InitError(
            f"{stack!r} is not a valid name; use lower-case letters, digits and single underscores, as in my_shop"
        )
    directory = Path(folder)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise InitError(f"{directory} is not empty; choose a new folder")
        return [_write(directory / name, stack) for name in ("inventory.yml", "thresholds.yml")]
    except OSError as error:
        raise InitError(f"cannot write to {directory}: {error.strerror}") from None


def _write(file: Path, stack: str) -> Path:
    template = resources.files("runbookctl").joinpath("examples", file.name).read_text(encoding="utf-8")
    file.write_text(template.replace("STACK", stack), encoding="utf-8")
    return file
