"""CPU time and memory of processes, from /proc."""

import os
from pathlib import Path

from demo.servers.process import Process
from demo.servers.server import Server

_TICK = os.sysconf("SC_CLK_TCK")


def pid_of(process: Process) -> int:
    """Return the number of a process that runs."""
    identity = process.identity
    if identity is None:
        raise SystemExit(f"{process.name} does not run; see {process.log}")
    return identity.pid


def cpu_seconds(pid: int, *, with_ended_children: bool = False) -> float:
    """Return the CPU time of a process so far.

    It is 0 for a process that has ended, because its parent counts it.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return sum(map(int, fields[11 : 15 if with_ended_children else 13])) / _TICK


def server_cpu(server: Server) -> float:
    """Return the CPU time of all processes of a server, including those that have ended."""
    pid = pid_of(server.process)
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return cpu_seconds(pid, with_ended_children=True) + sum(cpu_seconds(int(child)) for child in children)


def resident_mebibytes(pid: int) -> float:
    """Return the memory that a process holds now."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024
