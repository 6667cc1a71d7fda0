"""Free ports on 127.0.0.1."""

import random
import socket
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 15_000
# A server's ports must stay free while it restarts.
_handed_out: set[int] = set()


def free_port() -> int:
    """A port that nothing on 127.0.0.1 listens on, different at every call of this process.

    It lies below the range that the kernel gives to outgoing connections, so that none of these takes it before the
    server starts. Raises OSError where no port is free.
    """
    highest = int(_RANGE.read_text().split()[0])
    candidates = [port for port in range(_LOWEST, max(highest, _LOWEST + 1_000)) if port not in _handed_out]
    random.shuffle(candidates)
    for port in candidates:
        if is_free(port):
            _handed_out.add(port)
            return port
    raise OSError("no free port on 127.0.0.1: stop some servers")


def free_ports(count: int) -> list[int]:
    """Several different free ports."""
    return [free_port() for _ in range(count)]


def is_free(port: int) -> bool:
    """Whether nothing listens on this port."""
    # All interfaces, not only the loopback one: a server elsewhere on this port would confuse people, not us.
    with socket.socket() as probe:
        # Connections that a stopped server closed linger for a minute; its port is free for the next one all the same.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
