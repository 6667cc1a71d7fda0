"""Checks passwords against bcrypt hashes, one at a time: guesses must not occupy the shared threads."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

MAX_WAITING = 20
_DUMMY = "$2b${:02}$" + "." * 53


class TooManyChecks(Exception):
    """MAX_WAITING checks are queued already."""

    def __init__(self) -> None:
        super().__init__("too many password checks are queued; try again later")


class PasswordChecks:
    """One thread that checks passwords, with a short queue before it."""

    def __init__(self) -> None:
        self._thread, self._waiting = ThreadPoolExecutor(1, "passwords"), 0

    @property
    def is_full(self) -> bool:
        """Whether the next check would be refused."""
        return self._waiting >= MAX_WAITING

    async def matches(self, password: bytes, expected: bytes) -> bool:
        """Return whether `expected` is the hash of `password`.

        Raises:
            TooManyChecks: try again later.
        """
        if self.is_full:
            raise TooManyChecks
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, _matches, password, expected)
        finally:
            self._waiting -= 1


def dummy_hash(cost: int = 10) -> bytes:
    """Return a hash that no password has, for unknown users: the answer must take as long as for a known one."""
    return _DUMMY.format(cost).encode()


def _matches(password: bytes, expected: bytes) -> bool:
    import bcrypt  # only a service with users needs it

    try:
        return bcrypt.checkpw(password, expected)
    except ValueError:  # bcrypt rejects passwords over 72 bytes or with zero bytes
        return False
