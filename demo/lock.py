"""Allows one start or stop at a time. The kernel releases the lock if its holder dies."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from demo.errors import DemoError
from demo.paths import DemoPaths


@contextmanager
def demo_lock(paths: DemoPaths) -> Iterator[None]:
    """Hold the demo's lock.

    Raises:
        DemoError: another command is starting or stopping the demo.
    """
    paths.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (paths.root / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError("another command is starting or stopping the demo; wait until it is done") from None
        yield
