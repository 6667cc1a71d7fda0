"""One start or end at a time. The kernel lets go of the lock when its holder dies, however it dies."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from demo.errors import DemoError
from demo.paths import DemoPaths


@contextmanager
def demo_lock(paths: DemoPaths) -> Iterator[None]:
    """Hold the demo's lock.

    Raises:
        DemoError: somebody else starts or ends the demo right now.
    """
    paths.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (paths.root / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError("somebody else starts or ends the demo of this checkout right now; wait for it") from None
        yield
