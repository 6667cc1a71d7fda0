"""Checks passwords against bcrypt hashes, one at a time: guesses must not occupy the shared threads."""

import asyncio
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

from runbookd.inventory.password_files import MIN_COST, cost_of

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

    async def matches(self, password: bytes, expected: bytes | None, hashes: Collection[bytes]) -> bool:
        """Return whether `expected` is the hash of `password`; an unknown name has none.

        It takes as long as the dearest of `hashes`: the time of the answer must not tell which names exist.

        Raises:
            TooManyChecks: try again later.
        """
        if self.is_full:
            raise TooManyChecks
        self._waiting += 1
        cost = max(map(cost_of, hashes), default=MIN_COST)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, _matches, password, expected, cost)
        finally:
            self._waiting -= 1


def _matches(password: bytes, expected: bytes | None, cost: int) -> bool:
    checked = expected or _dummy_hash(cost)
    is_right = _is_hash_of(password, checked)
    for each in range(cost_of(checked), cost):  # each takes as long as all before it
        _is_hash_of(password, _dummy_hash(each))
    return is_right and expected is not None


def _dummy_hash(cost: int) -> bytes:
    """Return a hash that no password has."""
    return _DUMMY.format(cost).encode()


def _is_hash_of(password: bytes, expected: bytes) -> bool:
    import bcrypt  # only a service with users needs it

    try:
        return bcrypt.checkpw(password, expected)
    except ValueError:  # bcrypt rejects passwords over 72 bytes or with zero bytes
        return False
