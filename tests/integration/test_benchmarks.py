"""The numbers of the benchmarks are what they say."""

from benchmarks.processes import server_cpu


def test_the_servers_cpu_counts_what_has_ended(postgres_server) -> None:
    before = server_cpu(postgres_server)
    # psql's session is over when this returns: its time is the postmaster's to tell.
    postgres_server.sql("SELECT count(*) FROM generate_series(1, 3000000)")
    assert server_cpu(postgres_server) - before >= 0.1
