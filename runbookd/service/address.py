"""Listen addresses in Prometheus' notation: `:9850`, `127.0.0.1:9851`, `[::1]:9850`."""

import ipaddress
import re
from dataclasses import dataclass

_SHAPE = re.compile(r"(?:\[(?P<six>[^\[\]]+)\]|(?P<host>[^:\[\]\s]*)):(?P<port>[0-9]{1,5})", re.ASCII)
_REMEDY = "write :9850, 127.0.0.1:9850 or [::1]:9850"


@dataclass(frozen=True)
class ListenAddress:
    """A listen address. `host` None means every interface; port 0 means any free port."""

    host: str | None
    port: int

    @classmethod
    def parse(cls, text: str) -> "ListenAddress":
        """Parse a listen address.

        Raises:
            ValueError: `text` has no port, a port over 65535, or an IPv6 address without brackets.
        """
        match = _SHAPE.fullmatch(text)
        if match is None or int(match["port"]) > 65535 or not _is_ipv6(match["six"]):
            raise ValueError(f"{text!r} is not a listen address; {_REMEDY}")
        return cls(match["six"] or match["host"] or None, int(match["port"]))

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can connect. A name other than localhost counts as public."""
        if self.host is None or self.host == "localhost":
            return self.host is not None
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        host = self.host or ""
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def _is_ipv6(text: str | None) -> bool:
    try:
        return text is None or ipaddress.ip_address(text).version == 6
    except ValueError:
        return False
