"""The time of a check tells nothing about the names that exist."""

from threading import current_thread

import bcrypt
import pytest

from runbookd.inventory.password_files import cost_of
from runbookd.service.password_checks import PasswordChecks

CHEAP, DEAR = (bcrypt.hashpw(b"secret", bcrypt.gensalt(cost)) for cost in (4, 6))


@pytest.mark.parametrize("password", [b"secret", b"wrong", b"x" * 100])
async def test_check_takes_as_long_for_every_name(monkeypatch: pytest.MonkeyPatch, password: bytes) -> None:
    rounds: list[int] = []
    threads: set[str] = set()
    is_hash_of = bcrypt.checkpw

    def check(password: bytes, expected: bytes) -> bool:
        rounds.append(2 ** cost_of(expected))
        threads.add(current_thread().name)
        return is_hash_of(password, expected)

    monkeypatch.setattr(bcrypt, "checkpw", check)
    for expected in (CHEAP, DEAR, None):
        rounds.clear()
        is_right = await PasswordChecks().matches(password, expected, (CHEAP, DEAR))
        assert is_right == (password == b"secret" and expected is not None)
        assert sum(rounds) == 2**6
    assert threads == {"passwords_0"}, "guesses must not occupy the shared threads"
