"""Reads the address of a web page, and shows it without what may be secret in it."""

from dataclasses import dataclass

from runbookd.addresses import AddressError, split_address

EXAMPLE = "https://host/path"


@dataclass(frozen=True)
class HttpAddress:
    """An address to request; `shown` is the same without user information and query."""

    url: str
    shown: str


def read_http_address(text: str) -> HttpAddress:
    """Read an address.

    Raises:
        AddressError: it is no address of a web page.
    """
    url, _, place = text.partition("#")  # the place in the page, which clients do not send
    if "@" in place:
        raise AddressError("an @ is behind a #; write a # of the password as %23")
    parts = split_address(url.partition("?")[0], ("http", "https"), EXAMPLE).parts  # a query may have an @
    if not parts.hostname:
        raise AddressError(f"the host is missing; write it as {EXAMPLE}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = f":{parts.port}" if parts.port is not None else ""
    return HttpAddress(url, f"{parts.scheme}://{host}{port}{parts.path}")
