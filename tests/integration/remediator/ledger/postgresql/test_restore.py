"""The steps of docs/how-to/back-up-the-ledger.md for PostgreSQL, as an operator takes them."""

import subprocess
from pathlib import Path

from remediator.ledger import audit, switches
from remediator.ledger.outdated import MOVED_LEDGER
from remediator.ledger.postgresql.migrate import migrate
from remediator.ledger.schema import audit as trail
from runbookd.addresses.postgres import read_postgres_address
from tests.ledgers import ROOT, LedgerDatabases, install, leading, ledger_of, ledger_url
from tests.unit.remediator.audit_trail import first_break
from tests.unit.remediator.conftest import START, engine_harness, inventory
from tools.toolchain.paths import launcher

PAGE = ROOT / "docs/how-to/back-up-the-ledger.md"


def run(line: str, database: str, address: str, folder: Path) -> None:
    """Run a command of the page, with an administrator's address instead of the local socket and the database."""
    assert f"{line}\n" in PAGE.read_text(encoding="utf-8")
    command = line.removeprefix("sudo -u postgres ").replace(f" {database} ", f" {address} ")
    program, rest = command.split(" ", 1)
    shell = ["sh", "-c", f"{launcher(program)} {rest}"]
    subprocess.run(shell, cwd=folder, check=True, capture_output=True, timeout=60)


async def test_restored_ledger_goes_on_with_its_trail_and_its_rights(
    folder: Path, ledger_databases: LedgerDatabases
) -> None:
    async with engine_harness(folder, inventory()) as harness:
        harness.files.fill("a")
        await harness.deliver()
        await harness.work()
        async with harness.context.ledger.read() as connection:
            head = await audit.head(connection)
        name = ledger_url(folder.parent).rpartition("/")[2]
        server, restored = ledger_databases.server, "ledger_restored"
        dump = "sudo -u postgres pg_dump -Fc -n runbookd runbookd > ledger.dump"
        run(dump, "runbookd >", f"{server.dsn(database=name)} >", folder.parent)
    server.add_database(restored)
    try:
        install(server, restored)
        restore = "pg_restore -n runbookd --no-owner --role=runbookd_owner -d runbookd_restored < ledger.dump"
        run(f"sudo -u postgres {restore}", "runbookd_restored", server.dsn(database=restored), folder.parent)
        await migrate(read_postgres_address(ledger_databases.url(restored, "runbookd_owner")))
        url = ledger_databases.url(restored)
        async with ledger_of(url).open() as replica, leading(replica) as ledger:  # with few rights, paused
            async with ledger.read() as connection:
                assert await first_break(connection) is None
                assert await audit.contains(connection, head)
                assert [each.reason for each in await switches.active_pauses(connection, START)] == [MOVED_LEDGER]
            async with ledger.write() as connection:
                await audit.append(connection, START, "test")
                assert (await connection.execute(trail.select().order_by(trail.c.id.desc()))).first().event == "test"
    finally:
        server.drop_database(restored)
