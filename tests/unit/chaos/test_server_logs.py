"""Terminated sessions are told apart from those that end with their server."""

from pathlib import Path

from chaos.audit.evidence import Effect
from chaos.server_logs import read_terminations

LOG = """\
1796003485.123 [41] 6a0c.29 FATAL:  terminating connection due to administrator command
1796003485.124 [41] 6a0c.29 STATEMENT:  SELECT 1
1796003490.000 [1] 6a00.1 LOG:  received fast shutdown request
1796003490.100 [42] 6a0d.2a FATAL:  terminating connection due to administrator command
1796003491.000 [2] 6a0e.2 LOG:  database system is ready to accept connections
no line of the server
1796003492.500 [43] 6a0f.2b FATAL:  terminating connection due to administrator command
"""


def test_terminations_are_read_from_the_log(tmp_path: Path) -> None:
    log = tmp_path / "postgres.log"
    log.write_text(LOG)
    terminations = read_terminations(log)
    name = "terminate_idle_transactions"
    assert terminations.effects == [Effect(1796003485.123, name, "6a0c.29"), Effect(1796003492.5, name, "6a0f.2b")]
    assert terminations.ended_with_server == {"6a0d.2a"}
