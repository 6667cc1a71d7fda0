"""Free ports on 127.0.0.1."""

import random
import socket
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 15_000
# A server's ports must stay free while it restarts.
_handed_out: set[int] = set()


def free_port() -> int:
    """Return an unused port of 127.0.0.1, a different one at every call in this process.

    It is below the kernel's range for outgoing connections, so that none of them takes it before the server starts.
    Raises OSError if no port is free.
    """
    highest = int(_RANGE.read_text().split()[0])
    candidates = [port for port in range(_LOWEST, max(highest, _LOWEST + 1_000)) if port not in _handed_out]
    random.shuffle(candidates)
    for port in candidates:
        if is_free(port):
            _handed_out.add(port)
            return port
    raise OSError("no free port on 127.0.0.1; stop some servers")


def free_ports(count: int) -> list[int]:
    """Return `count` different free ports."""
    return [free_port() for _ in range(count)]


def is_free(port: int) -> bool:
    """Return whether no server listens on this port."""
    # Check all interfaces: a server on the same port of another interface would confuse users.
    with socket.socket() as probe:
        # A stopped server's connections stay in TIME_WAIT for a minute; its port is free nevertheless.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
