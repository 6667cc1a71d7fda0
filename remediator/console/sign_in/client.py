"""The machine at the other end of a request, as the console sees it: behind a trusted proxy, the browser's."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_network

from aiohttp import hdrs, web

from runbookd.inventory.console import Address, Console, read_address

FORWARDED_FOR, FORWARDED_PROTO, FORWARDED_HOST = "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"


@dataclass(frozen=True)
class Client:
    """The browser of a request. `hosts` are the names by which it may have reached the console."""

    address: Address | None
    is_proxied: bool
    is_secure: bool
    hosts: frozenset[str]

    @property
    def network(self) -> str:
        """The text under which failed sign-ins count: one customer has a whole /64 of IPv6."""
        if isinstance(self.address, IPv6Address):
            return str(ip_network((self.address, 64), strict=False))
        return str(self.address or "unknown")


def read_client(request: web.Request, console: Console) -> Client:
    """Return the client. The headers of a proxy count only if the proxy is trusted."""
    peer = read_address(request.remote)
    if not console.trusts(peer):
        return Client(peer, False, request.secure, frozenset({request.host}))
    protocols = list(_values(request, FORWARDED_PROTO))
    hosts = frozenset({request.host, *_values(request, FORWARDED_HOST)})
    is_secure = request.secure or protocols[-1:] == ["https"]
    return Client(_behind(console, peer, list(_values(request, FORWARDED_FOR))), True, is_secure, hosts)


def _behind(console: Console, peer: Address | None, forwarded: list[str]) -> Address | None:
    """Return the last address that no trusted proxy has: each proxy adds the one that it sees at the end."""
    for text in reversed(forwarded):
        address = read_address(_without_port(text))
        if address is None:
            break
        peer = address
        if not console.trusts(address):
            break
    return peer


def _without_port(text: str) -> str:
    """Return the address in `1.2.3.4:56` and `[::1]:56`; some proxies add the port."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def _values(request: web.Request, name: str) -> Iterable[str]:
    for line in request.headers.getall(name, ()):
        yield from (part.strip() for part in line.split(","))


def is_same_origin(request: web.Request, client: Client) -> bool:
    """Return whether a page of this console sent the form. A browser always says so in one of two headers."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get(hdrs.ORIGIN)
    return origin is None or origin.partition("://")[2] in client.hosts
