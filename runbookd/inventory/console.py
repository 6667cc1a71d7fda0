"""The console of the remediator: who may reach it, and who names its visitors."""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, Any
from urllib.parse import urlsplit

from runbookd.inventory.constraints import AfterValidator
from runbookd.inventory.section import Section, must_hold

_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,99}")
# They carry something else: every client chooses them, or the console itself reads them.
_TAKEN = frozenset(
    {"authorization", "connection", "content-length", "content-type", "cookie", "forwarded", "host", "origin"}
    | {"proxy-authorization", "referer", "transfer-encoding", "user-agent"}
)
_TAKEN_PREFIXES = ("sec-", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto")

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def _check_header(name: str) -> str:
    if not _HEADER.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a header, such as X-Remote-User")
    if name.lower() in _TAKEN or name.lower().startswith(_TAKEN_PREFIXES):
        raise ValueError(f"{name!r} means something else; use a header that only the proxy sets, such as X-Remote-User")
    return name


def _check_network(text: str) -> str:
    try:
        network = ip_network(text)
    except ValueError:
        raise ValueError(f"{text!r} is no address and no network, such as 10.0.0.5 or 10.0.0.0/24") from None
    if network.prefixlen == 0:
        raise ValueError(f"{text!r} trusts every machine; name the proxies")
    return text


def _check_origin(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is no address of a console, such as https://runbookd.example")
    if "@" in parts.netloc or parts.query or parts.fragment or parts.path not in ("", "/"):
        raise ValueError(
            "must be scheme, host and port alone, such as https://runbookd.example: every message shows it"
        )
    return f"{parts.scheme}://{parts.netloc}"


class Console(Section):
    """The console, to which messages link at `url`.

    With `proxy_header`, a request of `trusted_proxies` names its operator in that header.

    Beyond this machine it opens only behind TLS, behind `trusted_proxies`, or with `plain_http`.
    """

    url: Annotated[str, AfterValidator(_check_origin)] | None = None
    proxy_header: Annotated[str, AfterValidator(_check_header)] | None = None
    trusted_proxies: tuple[Annotated[str, AfterValidator(_check_network)], ...] = ()
    plain_http: bool = False

    @must_hold
    def _header_needs_proxies(self) -> None:
        if self.proxy_header is not None and not self.trusted_proxies:
            raise ValueError("proxy_header needs trusted_proxies, or everybody could send it; add the proxy's address")

    def trusts(self, address: Address | None) -> bool:
        """Return whether a proxy at `address` is trusted."""
        return address is not None and any(address in ip_network(network) for network in self.trusted_proxies)


def read_address(text: Any) -> Address | None:
    """Return the address in `text`, or None; an IPv4 address in an IPv6 one is read as the former."""
    try:
        address = ip_address(str(text).strip())
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
