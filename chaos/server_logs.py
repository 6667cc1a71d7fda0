"""Reads the sessions that PostgreSQL's own log says were terminated."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chaos.audit.evidence import Effect
from chaos.configuration import TERMINATE

# log_line_prefix: time, [process], session.
_LINE = re.compile(r"^(?P<at>\d+\.\d+) \[\d+\] (?P<session>[0-9a-f]+\.[0-9a-f]+) \w+:\s+(?P<message>.*)$")
_TERMINATED = "terminating connection due to administrator command"
_SHUTDOWN, _READY = "received fast shutdown request", "database system is ready to accept connections"


@dataclass(frozen=True)
class TerminatedSessions:
    """The sessions that were terminated, and those that ended with their server."""

    effects: Sequence[Effect]
    ended_with_server: frozenset[str]


def read_terminations(log: Path) -> TerminatedSessions:
    """Read the log of a server: a shutdown ends sessions with the same words, after it has said so."""
    effects, ended, shutting_down = [], set(), False
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        shutting_down = (shutting_down or _SHUTDOWN in match["message"]) and _READY not in match["message"]
        if _TERMINATED in match["message"] and shutting_down:
            ended.add(match["session"])
        elif _TERMINATED in match["message"]:
            effects.append(Effect(float(match["at"]), TERMINATE, match["session"]))
    return TerminatedSessions(effects, frozenset(ended))
