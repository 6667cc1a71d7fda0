"""Checks a secret before it is needed: that it can be read now, and that it is an address of its kind."""

from collections.abc import Callable, Iterator

from runbookd.addresses import AddressError
from runbookd.inventory.errors import SecretError
from runbookd.inventory.secrets import Secret


def secret_problems(secret: Secret, read_address: Callable[[str], object] | None = None) -> Iterator[tuple[str, str]]:
    """Yield (key, reason) if `secret` cannot be read, or `read_address` refuses it; never a part of it."""
    last = secret.key.rpartition(".")[2]
    try:
        text = secret.read()
        if read_address is not None:
            read_address(text)
    except SecretError as error:
        yield last if secret.file is None else f"{last}_file", str(error).removeprefix(f"{secret.file_key}: ")
    except AddressError as error:
        yield last if secret.file is None else f"{last}_file", str(error)
