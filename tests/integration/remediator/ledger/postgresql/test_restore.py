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


def run(line: str, owner: str, folder: Path) -> None:
    """Run a command of the page."""
    assert f"{line}\n" in PAGE.read_text(encoding="utf-8")
    for placeholder in ('"$(cat owner.url)"', '"$(cat restored-owner.url)"'):
        line = line.replace(placeholder, owner)
    program, *arguments = line.split()
    subprocess.run([launcher(program), *arguments], cwd=folder, check=True, capture_output=True, timeout=60)


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
        owner = ledger_databases.url(name, "runbookd_owner")
        run('pg_dump -Fc -n runbookd -f ledger.dump "$(cat owner.url)"', owner, folder.parent)
    server, restored = ledger_databases.server, "ledger_restored"
    server.add_database(restored)
    try:
        install(server, restored)
        owner = ledger_databases.url(restored, "runbookd_owner")
        run('pg_restore -n runbookd --no-owner -d "$(cat restored-owner.url)" ledger.dump', owner, folder.parent)
        await migrate(read_postgres_address(owner))
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
