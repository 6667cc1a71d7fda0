"""The benchmarks measure what they print."""

import time

from benchmarks.processes import server_cpu


def test_server_cpu_includes_ended_sessions(postgres_server) -> None:
    before, end = server_cpu(postgres_server), time.monotonic() + 60
    # psql's backend has ended when this returns, so only the postmaster still counts its time, as soon as it notices.
    postgres_server.sql("SELECT count(*) FROM generate_series(1, 3000000)")
    while server_cpu(postgres_server) - before < 0.1 and time.monotonic() < end:
        time.sleep(0.05)
    assert server_cpu(postgres_server) - before >= 0.1
