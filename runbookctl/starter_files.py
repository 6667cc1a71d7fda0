"""Writes the files that a new installation starts from."""

import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


class InitError(Exception):
    """The files can not be written. One line for people."""


def write_examples(folder: str, stack: str) -> Sequence[Path]:
    """Write `inventory.yml` and `thresholds.yml` for `stack` into `folder`, and return what was written.

    Raises:
        InitError: the folder holds something, can not be written, or the name is none.
    """
    if not _NAME.fullmatch(stack):
        raise InitError(f"{stack!r} is no name: lower-case letters, digits and single underscores, as in my_shop")
    directory = Path(folder)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise InitError(f"{directory} is not empty; name a new folder")
        return [_write(directory / name, stack) for name in ("inventory.yml", "thresholds.yml")]
    except OSError as error:
        raise InitError(f"can not write {directory}: {error.strerror}") from None


def _write(file: Path, stack: str) -> Path:
    template = resources.files("runbookctl").joinpath("examples", file.name).read_text(encoding="utf-8")
    file.write_text(template.replace("STACK", stack), encoding="utf-8")
    return file
