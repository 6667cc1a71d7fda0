"""Skips finished steps: each result has a stamp, a hash of its inputs.

An interruption is safe: a folder is built under another name and renamed once it is complete. Two set-ups at once are
safe: there is one file lock per checkout.
"""

import fcntl
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.toolchain.paths import TOOLS

STAMP = ".stamp"


def digest(*inputs: str | bytes | Path) -> str:
    """Return a hash of texts and file contents, each prefixed with its length."""
    total = hashlib.sha256()
    for item in inputs:
        content = item.read_bytes() if isinstance(item, Path) else item if isinstance(item, bytes) else item.encode()
        total.update(f"{len(content)}:".encode())
        total.update(content)
    return total.hexdigest()


def is_current(folder: Path, inputs: str) -> bool:
    """Return whether `folder` is complete and was built from exactly these inputs."""
    try:
        return (folder / STAMP).read_text() == inputs
    except OSError:
        return False


def write_stamp(folder: Path, made_from: str) -> None:
    """Mark `folder` as complete."""
    partial = folder / f"{STAMP}.partial"
    partial.write_text(made_from)
    partial.replace(folder / STAMP)


@contextmanager
def replace_folder(folder: Path, made_from: str) -> Iterator[Path]:
    """Yield an empty folder to fill, which replaces `folder` only if the block succeeds."""
    partial, old = folder.with_name(f"{folder.name}.partial"), folder.with_name(f"{folder.name}.old")
    for leftover in (partial, old):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    write_stamp(partial, made_from)
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def setup_lock() -> Iterator[None]:
    """Wait for another set-up to end, and hold the lock, which the kernel releases at exit."""
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another set-up of this checkout to finish", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
