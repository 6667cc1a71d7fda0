"""Does nothing twice: what was made is stamped with a hash of what it was made from.

Safe against interruption: a thing is made under another name and renamed when it is whole. Safe against two set-ups at
once: one file lock for the checkout.
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
    """A hash of texts and of the contents of files, each delimited by its length."""
    total = hashlib.sha256()
    for item in inputs:
        content = item.read_bytes() if isinstance(item, Path) else item if isinstance(item, bytes) else item.encode()
        total.update(f"{len(content)}:".encode())
        total.update(content)
    return total.hexdigest()


def is_current(folder: Path, inputs: str) -> bool:
    """Whether `folder` was finished from exactly these inputs."""
    try:
        return (folder / STAMP).read_text() == inputs
    except OSError:
        return False


def write_stamp(folder: Path, made_from: str) -> None:
    """Declares `folder` finished."""
    partial = folder / f"{STAMP}.partial"
    partial.write_text(made_from)
    partial.replace(folder / STAMP)


@contextmanager
def replace_folder(folder: Path, made_from: str) -> Iterator[Path]:
    """Gives an empty folder to fill; it takes the place of `folder` only when the block ends well."""
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
    """Waits for another set-up of this checkout to end. The lock goes with its process: it cannot be left behind."""
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another set-up of this checkout is running: waiting for it", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
