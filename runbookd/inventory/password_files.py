"""Files with the bcrypt hash of an operator's password, as `runbookctl password` or `htpasswd -B` writes them."""

import re
from pathlib import Path

from runbookd.inventory.errors import SecretError
from runbookd.inventory.secrets import Secret

MIN_COST, MAX_COST = 10, 15  # a tenth of a second and about three: cheaper is guessed, dearer blocks the sign-in
_HASH = re.compile(r"\$2[aby]\$(?P<cost>\d\d)\$[./A-Za-z0-9]{53}")
_REMEDY = "run `runbookctl password` and write its line into the file"
KEY = "password_file"


def read_password_hash(file: Path, operator: str) -> bytes:
    """Return the hash in `file`; a line of htpasswd, with the operator's name or none before it, is one.

    Raises:
        SecretError: the file is unreadable, or holds no hash that is safe to use. It never shows the content.
    """
    text = Secret(KEY, None, file).read()
    user, colon, rest = text.partition(":")
    if colon and user not in ("", operator):
        raise SecretError(f"{KEY}: {file} has the line of another user; {_REMEDY}")
    found = _HASH.fullmatch(rest if colon else text)
    if found is None:
        cause = "holds more than one line" if "\n" in text else "holds no bcrypt hash"
        raise SecretError(f"{KEY}: {file} {cause}; {_REMEDY}")
    if not MIN_COST <= cost_of(found[0].encode()) <= MAX_COST:
        raise SecretError(f"{KEY}: {file} has the cost {int(found['cost'])}, not {MIN_COST} to {MAX_COST}; {_REMEDY}")
    return found[0].encode()


def cost_of(found: bytes) -> int:
    """Return the logarithm of the rounds of a hash."""
    return int(found[4:6])
