"""Checks the operators' password files at the start, at a reload and in `--config.check`."""

from collections.abc import Iterator

from runbookd.inventory import Inventory, SecretError, read_password_hash
from runbookd.service import ConfigFinding

KEY = "password_file"


def password_findings(inventory: Inventory) -> Iterator[ConfigFinding]:
    """Report unusable password files, and operators with the same hash: their sessions were one."""
    names_by_hash: dict[bytes, str] = {}
    for name, operator in inventory.operators.items():
        if operator.password_file is None:
            continue
        path = ("operators", name, KEY)
        try:
            found = read_password_hash(operator.password_file, name)
        except SecretError as error:
            yield ConfigFinding(path, str(error).removeprefix(f"{KEY}: "))
            continue
        if (other := names_by_hash.setdefault(found, name)) != name:
            reason = f"has the hash of {other}, so the record cannot tell them apart; give each operator a password"
            yield ConfigFinding(path, reason)
