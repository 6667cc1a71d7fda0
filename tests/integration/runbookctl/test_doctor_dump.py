"""`runbookctl doctor` on the database and the tools of a dump, before a backup is needed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.servers.postgres import PostgresServer
from runbookctl.doctor.dump import check
from runbookd.inventory import DumpSource
from tools.toolchain.paths import launcher

COMMANDS = {"command": (str(launcher("pg_dump")), "--format=custom"), "check": (str(launcher("pg_restore")),)}


@pytest.fixture(scope="module")
def server(servers_folder: Path) -> Iterator[PostgresServer]:
    server = PostgresServer(servers_folder / "dumped_postgres")
    server.start()
    server.sql("CREATE TABLE orders (id serial)")
    server.add_role("dumper", "IN ROLE pg_read_all_data")
    server.add_role("narrow")
    yield server
    server.remove()


async def findings_of(dsn: str, **changes: tuple[str, ...]) -> list[tuple[str, str]]:
    dump = DumpSource.model_validate({"dsn": dsn, **COMMANDS, **changes})
    return [(each.problem, each.repair) for each in await check(dump)]


async def test_working_dump_has_no_findings(server: PostgresServer) -> None:
    assert await findings_of(server.dsn("dumper")) == []


async def test_wrong_password_is_named_without_it(server: PostgresServer) -> None:
    dsn = f"postgresql://dumper:hunter2@127.0.0.1:{server.port}/postgres"
    assert await findings_of(dsn) == [
        (
            'dump.dsn: password authentication failed for user "dumper"',
            "check that the role may log in, and its password",
        )
    ]
    [(problem, _)] = await findings_of("postgresql://dumper:hunter2@127.0.0.1:1/postgres")
    assert problem == "dump.dsn: 127.0.0.1:1: the connection is refused"
    [(problem, _)] = await findings_of("postgresql://dumper:hunter2/x@127.0.0.1:1/postgres")
    assert problem.startswith("dump.dsn: not an address")
    assert "hunter2" not in problem


async def test_missing_right_is_named_and_its_repair_works(server: PostgresServer) -> None:
    [(problem, repair)] = await findings_of(server.dsn("narrow"))
    assert problem == "dump.dsn: role narrow may not read 2 tables and sequences"
    server.sql(repair)
    assert await findings_of(server.dsn("narrow")) == []


async def test_older_pg_dump_is_named_with_both_versions(postgres16: PostgresServer) -> None:
    assert await findings_of(postgres16.dsn()) == [
        (
            "pg_dump 15 cannot dump a server of version 16",
            "install postgresql-client-16, or write the path of its pg_dump into dump.command",
        )
    ]


async def test_missing_program_and_older_pg_restore_are_named(server: PostgresServer, tmp_path: Path) -> None:
    newer = tmp_path / "pg_dump"
    newer.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 17.2'\n")
    newer.chmod(0o755)
    assert await findings_of(server.dsn("dumper"), command=(str(newer),)) == [
        (
            "pg_restore 15 cannot read a dump of pg_dump 17",
            "set dump.check to a pg_restore of version 17 or later",
        )
    ]
    [(problem, _)] = await findings_of(server.dsn("dumper"), command=("no-such-tool",))
    assert problem == "dump.command: there is no program no-such-tool"
