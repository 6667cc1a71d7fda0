"""The benchmarks measure what they print."""

from benchmarks.processes import server_cpu


def test_server_cpu_includes_ended_sessions(postgres_server) -> None:
    before = server_cpu(postgres_server)
    # psql's backend has ended when this returns, so only the postmaster still counts its time.
    postgres_server.sql("SELECT count(*) FROM generate_series(1, 3000000)")
    assert server_cpu(postgres_server) - before >= 0.1
