"""restore_drill proves a backup by restoring it elsewhere, and leaves nothing behind, whatever is in the dump."""

import asyncio
import pickle
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyrage
import pytest

from demo.servers.postgres import PostgresServer
from remediator.clients.scratch_database import scratch_name
from remediator.engine.leftovers import sweep_leftovers
from remediator.model.errors import RunRefused, TargetUnreachable
from remediator.model.remediation import EffectOutcome, Item, ItemState, Scope
from runbookd.inventory import Inventory, ProofKind
from tests.integration.remediator.remediations.backups.conftest import write_identity
from tests.integration.remediator.remediations.backups.steps import BackupsFolder
from tests.integration.remediator.remediations.steps import Steps

STEPS = Steps("restore_drill")
GRANTS = Path(__file__).parents[5] / "deploy" / "postgres"
RESTORED = ProofKind.RESTORED
Drills = Callable[..., Scope]


@pytest.fixture(scope="session")
def scratch(servers_folder: Path) -> Iterator[PostgresServer]:
    """Run a second cluster with the role of deploy/postgres/drill.sql."""
    server = PostgresServer(servers_folder / "scratch", version=16)  # clusters of one template are one to the check
    server.start()
    server.add_role("drill")
    server.sql((GRANTS / "drill.sql").read_text())
    yield server
    server.remove()


@pytest.fixture(scope="session")
def reader(postgres_server: PostgresServer) -> PostgresServer:
    """Add a role to the product's server with the rights of the remediator's, and no more."""
    postgres_server.add_role("drill_source", "IN ROLE pg_signal_backend, pg_read_all_stats")
    postgres_server.add_role("same_drill", "CREATEDB")
    return postgres_server


@pytest.fixture
def drills(scope: Callable[..., Scope], scratch: PostgresServer, reader: PostgresServer, shop: str) -> Drills:
    """Make scopes with a drill on the second cluster."""

    def make(target: dict[str, Any] | None = None, **drill: Any) -> Scope:
        admin = reader.dsn("drill_source", shop)
        stack = {"postgres": {"main": {"dsn": admin, "admin_dsn": admin}}}
        settings = {"dsn": scratch.dsn("drill"), "postgres": "main", "max_bytes": "1GiB", "timeout": "60s", **drill}
        return scope({"drill": settings, **(target or {})}, stack)

    return make


async def drilled(scope: Scope) -> EffectOutcome:
    """Restore for an operator, whatever was restored before."""
    scope = replace(scope, trigger="operator")
    [item] = (await STEPS.plan_of(scope)).items
    [outcome] = await STEPS.apply(scope, item)
    return outcome


def databases(server: PostgresServer) -> list[str]:
    return server.sql("SELECT datname FROM pg_database WHERE datname NOT LIKE 'template%' ORDER BY 1").split("\n")


@pytest.fixture(autouse=True)
def nothing_is_left(scratch: PostgresServer) -> Iterator[None]:
    """No test may leave a database or a role on the scratch server."""
    yield
    roles = "(SELECT count(*) FROM pg_roles WHERE rolname NOT LIKE 'pg_%')"
    names = "(SELECT string_agg(datname, ' ') FROM pg_database WHERE NOT datistemplate)"
    assert scratch.sql(f"SELECT {roles}, {names}") == "2|postgres"


@pytest.mark.parametrize("form", ["archive", "archive in tar", "encrypted plain in gzip"])
async def test_backup_is_restored_counted_and_dropped_and_its_marker_proves_it(
    drills: Drills, folder: BackupsFolder, dumps: Mapping[str, bytes], name: str, identity_file: Path, form: str
) -> None:
    folder.put(name, dumps[form])
    scope = drills(
        {"decrypt": {"identity_file": str(identity_file)}}, newest={"public.orders": "created_at"}, max_data_age="1d"
    )
    [item] = (await STEPS.plan_of(scope)).items
    [outcome] = await STEPS.apply(scope, item)
    assert outcome.state is ItemState.APPLIED, outcome.detail
    marker = folder.marker(name, RESTORED)
    assert (marker.ok, marker.rows) == (True, {"public.orders": 20000, "public.users": 300})
    assert marker.newest_row_at is not None
    assert marker.duration_seconds is not None
    assert 0 < marker.duration_seconds < 60
    assert (await STEPS.verify(scope, item)).clean
    assert await STEPS.resolve_outcome(scope, item) == [ItemState.APPLIED]


@pytest.mark.parametrize("form", ["archive", "archive in tar", "plain in gzip", "encrypted archive"])
async def test_truncated_dump_fails_the_drill(
    drills: Drills, folder: BackupsFolder, dumps: Mapping[str, bytes], name: str, identity_file: Path, form: str
) -> None:
    folder.put(name, dumps[form][: len(dumps[form]) // 2])
    outcome = await drilled(drills({"decrypt": {"identity_file": str(identity_file)}}))
    assert outcome.state is ItemState.FAILED
    assert "it is unusable: " in outcome.detail
    assert folder.marker(name, RESTORED).ok is False


async def test_dump_of_another_database_fails_the_drill(
    drills: Drills, folder: BackupsFolder, database: Any, dump_database: Callable[..., bytes], name: str
) -> None:
    database.sql("CREATE TABLE orders (id int); CREATE TABLE other (id int); INSERT INTO orders VALUES (1)")
    folder.put(name, dump_database(database.name, "--format=custom"))
    outcome = await drilled(drills())
    assert outcome.state is ItemState.FAILED
    assert "is not a backup of main: the table public.users is missing" in outcome.detail
    assert "public.orders has 1 rows of about 20000" in outcome.detail
    assert folder.marker(name, RESTORED).ok is False


async def test_extension_that_the_drills_role_cannot_create_is_named_with_the_remedy(
    drills: Drills, folder: BackupsFolder, database: Any, dump_database: Callable[..., bytes], name: str
) -> None:
    database.sql("CREATE EXTENSION pg_stat_statements")
    folder.put(name, dump_database(database.name, "--format=custom"))
    outcome = await drilled(drills())
    assert outcome.state is ItemState.FAILED
    assert 'extension "pg_stat_statements"' in outcome.detail
    assert outcome.detail.endswith("in a template of the scratch server, and set drill.template")


async def test_wrong_key_fails_the_drill_and_says_nothing_about_the_backup(
    drills: Drills, folder: BackupsFolder, dumps: Mapping[str, bytes], name: str, tmp_path: Path
) -> None:
    folder.put(name, dumps["encrypted archive"])
    other = write_identity(tmp_path / "other", pyrage.x25519.Identity.generate())
    wrong = await drilled(drills({"decrypt": {"identity_file": str(other)}}))
    assert (wrong.state, "for another key" in wrong.detail) == (ItemState.FAILED, True)
    without = await drilled(drills())
    assert "the inventory has no decrypt" in without.detail
    assert folder.names() == {name}


HEAD = b"SET statement_timeout = 0;\n"
EVIL = {
    "shell": r"\! touch {file}",
    "shell behind a statement": r"SELECT 1 \! touch {file}",
    "output to a program": r"\o |touch {file}",
    "copy from a program": r"\copy users FROM PROGRAM 'touch {file}'",
    "other database": r"\connect postgres",
    "end of the restriction": r"\unrestrict abc",
    "statement on the server": "COPY users FROM PROGRAM 'touch {file}';",
    "event trigger": "CREATE EVENT TRIGGER evil ON ddl_command_start EXECUTE FUNCTION pg_catalog.now();",
    "superuser": "CREATE ROLE evil SUPERUSER;",
}


@pytest.mark.parametrize("kind", EVIL)
async def test_plain_dump_with_a_command_leaves_nothing_behind(
    drills: Drills, folder: BackupsFolder, dumps: Mapping[str, bytes], name: str, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "evil"
    line = EVIL[kind].format(file=file).encode()
    place = (HEAD, b"--\n-- PostgreSQL database dump complete\n")[len(kind) % 2]
    folder.put(name, dumps["plain"].replace(place, line + b"\n" + place, 1))
    outcome = await drilled(drills())
    assert outcome.state is ItemState.FAILED
    assert "it cannot be restored: psql ended with 3" in outcome.detail
    assert not file.exists()
    assert folder.names() == {name}


async def test_command_in_the_rows_of_a_plain_dump_is_only_text(
    drills: Drills, folder: BackupsFolder, database: Any, dump_database: Callable[..., bytes], name: str, shop: str
) -> None:
    rows = [r"\! touch x", "\\unrestrict abc", "\rrestrict abc", "GRANT x TO y;", "ALTER TABLE x OWNER TO y;", "\\."]
    database.sql("CREATE TABLE texts (line text)")
    for row in rows:
        database.sql(f"INSERT INTO texts VALUES ($q${row}$q$)")
    folder.put(name, dump_database(database.name))
    outcome = await drilled(drills(ignore=["public.orders", "public.users"]))
    assert outcome.state is ItemState.APPLIED, outcome.detail
    assert folder.marker(name, RESTORED).rows == {"public.texts": len(rows)}


async def test_archive_with_an_event_trigger_policies_and_owners_is_restored_without_them(
    drills: Drills, folder: BackupsFolder, database: Any, dump_database: Callable[..., bytes], name: str, tmp_path: Path
) -> None:
    database.sql(f"""
        CREATE FUNCTION evil() RETURNS event_trigger LANGUAGE plpgsql AS
            $$ BEGIN COPY (SELECT 1) TO PROGRAM 'touch {tmp_path}/evil'; END $$;
        CREATE TABLE things AS SELECT 1 AS id;
        ALTER TABLE things ENABLE ROW LEVEL SECURITY; ALTER TABLE things FORCE ROW LEVEL SECURITY;
        CREATE POLICY only_dba ON things TO drill_source USING (false);
        GRANT SELECT ON things TO drill_source; ALTER TABLE things OWNER TO drill_source;
        CREATE EVENT TRIGGER evil ON ddl_command_end EXECUTE FUNCTION evil();
    """)
    (tmp_path / "evil").unlink(missing_ok=True)
    folder.put(name, dump_database(database.name, "--format=custom"))
    database.sql("DROP EVENT TRIGGER evil")
    outcome = await drilled(drills(ignore=["public.orders", "public.users"]))
    assert outcome.state is ItemState.APPLIED, outcome.detail
    assert "left out: " in outcome.detail
    assert "event trigger - evil" in outcome.detail
    assert folder.marker(name, RESTORED).rows == {"public.things": 1}
    assert not (tmp_path / "evil").exists()


async def test_database_that_a_dump_creates_is_dropped_and_named(
    drills: Drills, folder: BackupsFolder, dumps: Mapping[str, bytes], name: str
) -> None:
    folder.put(name, dumps["plain"].replace(HEAD, b"CREATE DATABASE evil;\n" + HEAD, 1))
    outcome = await drilled(drills())
    assert outcome.state is ItemState.FAILED
    assert "the dump has created the databases evil, which were dropped" in outcome.detail


async def test_psql_without_a_restricted_mode_is_refused(
    drills: Drills, folder: BackupsFolder, dumps: Mapping[str, bytes], name: str, tmp_path: Path, launchers: Path
) -> None:
    """A psql of before August 2025 does not know the command, and goes on."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "pg_restore").symlink_to(launchers / "pg_restore")
    old = programs / "psql"
    old.write_text(f"#!/bin/sh\nsed '/^.restrict/d' | tee -a {tmp_path}/fed | {launchers}/psql \"$@\"\n")
    old.chmod(0o755)
    folder.put(name, dumps["plain"])
    outcome = await drilled(drills(programs=str(programs)))
    assert outcome.state is ItemState.FAILED
    assert "cannot refuse the commands in a dump" in outcome.detail
    assert (tmp_path / "fed").read_text() == "\\echo unrestricted\n"


async def test_scratch_server_of_the_product_is_refused_and_allowed_only_up_to_a_size(
    drills: Drills, folder: BackupsFolder, dumps: Mapping[str, bytes], name: str, reader: PostgresServer
) -> None:
    folder.put(name, dumps["archive"])
    own = reader.dsn("same_drill", "postgres")
    for more, reason in (({}, "same_server"), ({"same_server": {"max_bytes": "1MiB"}}, "too_large")):
        with pytest.raises(RunRefused) as refused:
            await STEPS.plan_of(drills(dsn=own, **more))
        assert refused.value.reason == reason
    outcome = await drilled(drills(dsn=own, same_server={"max_bytes": "1GiB"}))
    assert outcome.state is ItemState.APPLIED, outcome.detail
    assert "runbook_drill" not in " ".join(databases(reader))


async def test_address_of_the_product_cannot_be_the_target_of_a_drill(
    drills: Drills, folder: BackupsFolder, dumps: Mapping[str, bytes], name: str, reader: PostgresServer, shop: str
) -> None:
    """Even with every allowance, its superuser, its owner and its members are refused before anything is created."""
    folder.put(name, dumps["archive"])
    before = reader.sql("SELECT count(*), sum(hashtext(code)) FROM orders", database=shop)
    reader.add_role("owner_of_shop", "CREATEDB")
    reader.sql("ALTER DATABASE shop_of_dumps OWNER TO owner_of_shop")
    try:
        for role, words in (("postgres", "superuser"), ("owner_of_shop", "owns"), ("drill_source", "is a member of")):
            scope = drills(dsn=reader.dsn(role, shop), same_server={"max_bytes": "1GiB"})
            with pytest.raises(TargetUnreachable, match=words):
                await STEPS.plan_of(scope)
    finally:
        reader.sql("ALTER DATABASE shop_of_dumps OWNER TO postgres; DROP ROLE owner_of_shop")
    assert reader.sql("SELECT count(*), sum(hashtext(code)) FROM orders", database=shop) == before


async def test_database_of_the_runs_name_is_never_touched(
    drills: Drills, folder: BackupsFolder, dumps: Mapping[str, bytes], name: str, scratch: PostgresServer
) -> None:
    """Neither one without the comment of a drill, nor one that a drill still uses."""
    folder.put(name, dumps["archive"])
    scope = drills()
    taken = scratch_name(scope)
    scratch.sql(f'CREATE DATABASE "{taken}"')
    try:
        outcome = await drilled(scope)
        assert (outcome.state, "already exists" in outcome.detail) == (ItemState.FAILED, True)
        assert taken in databases(scratch)
    finally:
        scratch.drop_database(taken)


async def test_full_disk_of_the_scratch_server_fails_the_drill_with_its_words(
    drills: Drills,
    folder: BackupsFolder,
    database: Any,
    dump_database: Callable[..., bytes],
    name: str,
    servers_folder: Path,
) -> None:
    database.sql("CREATE TABLE big AS SELECT repeat(md5(n::text), 60) AS t FROM generate_series(1, 15000) AS n")
    folder.put(name, dump_database(database.name, "--format=custom"))
    full = PostgresServer(servers_folder / "full", version=16)
    full.start()
    try:
        full.add_role("drill", "CREATEDB")
        limit_files(full, 17 * 1024**2)
        outcome = await drilled(drills(dsn=full.dsn("drill")))
        left = databases(full)
    finally:
        full.remove()
    assert outcome.state is ItemState.FAILED
    assert "it cannot be restored: pg_restore ended with 1: " in outcome.detail
    assert "could not extend file" in outcome.detail
    assert left == ["postgres"]
    assert folder.names() == {name}


def limit_files(server: PostgresServer, size: int) -> None:
    """Let no file of the server grow over `size`, as if its disk were full."""
    pids = subprocess.run(["pgrep", "-f", str(server.place().data)], capture_output=True, text=True, check=True).stdout
    for pid in pids.split():
        resource.prlimit(int(pid), resource.RLIMIT_FSIZE, (size, size))


async def test_database_that_outgrows_the_limit_ends_the_drill(
    drills: Drills, folder: BackupsFolder, dumps: Mapping[str, bytes], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.put(name, dumps["archive"])
    scope = drills(max_bytes="10MiB")
    with pytest.raises(RunRefused) as refused:
        await STEPS.plan_of(drills(max_bytes="5MiB"))
    assert refused.value.reason == "too_large"
    monkeypatch.setattr("remediator.remediations.restore_drill.require_other_server", lambda *_: None)
    outcome = await drilled(replace(scope, stack=drills(max_bytes="5MiB").stack))
    assert outcome.state is ItemState.FAILED
    assert "the scratch database has grown to" in outcome.detail


async def test_drill_that_takes_too_long_is_ended_and_dropped(
    drills: Drills, folder: BackupsFolder, dumps: Mapping[str, bytes], name: str
) -> None:
    folder.put(name, dumps["plain"].replace(HEAD, b"SELECT pg_sleep(60);\n" + HEAD, 1))
    outcome = await drilled(drills(timeout="3s"))
    assert outcome.state is ItemState.FAILED
    assert "the drill took over 3s and was ended" in outcome.detail


async def test_restore_that_takes_longer_than_promised_fails_and_is_marked(
    drills: Drills, folder: BackupsFolder, dumps: Mapping[str, bytes], name: str
) -> None:
    folder.put(name, dumps["archive"])
    outcome = await drilled(drills(within="0s"))
    assert outcome.state is ItemState.FAILED
    assert outcome.detail.endswith("that is longer than the promised 0s (drill.within)")
    assert folder.marker(name, RESTORED).ok


async def test_rows_that_are_too_old_fail_the_drill(
    drills: Drills, folder: BackupsFolder, dumps: Mapping[str, bytes]
) -> None:
    name = folder.put((datetime.now(UTC) + timedelta(minutes=30)).strftime("shop_%Y%m%d_%H%M%S.dump"), dumps["archive"])
    scope = drills(newest={"public.orders": "created_at"}, max_data_age="10m")
    outcome = await drilled(scope)
    assert outcome.state is ItemState.FAILED
    assert "older than the backup, max_data_age is 10m" in outcome.detail
    assert folder.marker(name, RESTORED).ok is False


async def test_schema_without_rows_is_restored_and_its_tables_counted(
    drills: Drills, folder: BackupsFolder, dump_database: Callable[..., bytes], name: str, shop: str
) -> None:
    folder.put(name, dump_database(shop, "--format=custom", "--schema-only"))
    assert (await drilled(drills())).state is ItemState.FAILED
    outcome = await drilled(drills({"kind": "schema"}))
    assert outcome.state is ItemState.APPLIED, outcome.detail


async def test_backup_that_changed_since_the_plan_is_not_restored(
    drills: Drills, folder: BackupsFolder, dumps: Mapping[str, bytes], name: str
) -> None:
    folder.put(name, dumps["archive"])
    [item] = (await STEPS.plan_of(drills())).items
    folder.put(name, dumps["plain"])
    [outcome] = await STEPS.apply(drills(), item)
    assert outcome.state is ItemState.SKIPPED


async def test_cancelled_drill_drops_its_database(
    drills: Drills, folder: BackupsFolder, dumps: Mapping[str, bytes], name: str, scratch: PostgresServer
) -> None:
    folder.put(name, dumps["plain"].replace(HEAD, b"SELECT pg_sleep(60);\n" + HEAD, 1))
    running = asyncio.create_task(drilled(drills()))
    await wait_for(lambda: len(databases(scratch)) == 2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(200):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it did not happen within 10 s")


async def test_alert_restores_a_backup_once_and_an_operator_again(
    drills: Drills, folder: BackupsFolder, dumps: Mapping[str, bytes], name: str
) -> None:
    """The alert ends only when the exporter has listed the marker; a drill may take hours."""
    folder.put(name, dumps["archive"])
    folder.mark(name, RESTORED, rows={"public.orders": 1}, duration_seconds=1)
    plan = await STEPS.plan_of(drills())
    assert (plan.items, plan.empty_reason) == ((), "")
    assert (await STEPS.plan_of(replace(drills(), trigger="operator"))).items
    folder.mark(name, RESTORED, ok=False)
    assert (await STEPS.plan_of(drills())).empty_reason == "known_bad"


async def test_backups_without_a_drill_and_empty_folders_are_named(drills: Drills, scope: Callable[..., Scope]) -> None:
    assert (await STEPS.plan_of(drills())).empty_reason == "no_backup"
    with pytest.raises(TargetUnreachable, match=r"add stacks\.shop\.backups\.nightly\.drill"):
        await STEPS.plan_of(scope())


PROGRAM = """
import asyncio, pickle, sys
from remediator.remediations import REMEDIATIONS
from remediator.clients.scratch_database import scratch_name
from remediator.engine.leftovers import sweep_leftovers
scope, item = pickle.load(sys.stdin.buffer)
async def main():
    async with REMEDIATIONS["restore_drill"].open(scope) as session:
        await session.apply([item])
asyncio.run(main())
"""


async def test_database_of_a_killed_drill_is_dropped_at_the_next_start_and_by_no_other(
    drills: Drills, folder: BackupsFolder, dumps: Mapping[str, bytes], name: str, scratch: PostgresServer
) -> None:
    """While the killed drill's session lives, and for another target's sweep, the database stays."""
    folder.put(name, dumps["plain"].replace(HEAD, b"SELECT pg_sleep(60);\n" + HEAD, 1))
    scope = drills()
    [item] = (await STEPS.plan_of(scope)).items
    child = start_drill(scope, item)
    try:
        await wait_for(lambda: scratch_name(scope) in commented(scratch))
        await sweep(scope)
        assert scratch_name(scope) in databases(scratch)
    finally:
        child.kill()
        child.wait()
    await wait_for(lambda: sessions(scratch, "runbook-remediator:17") == 0)
    assert await STEPS.resolve_outcome(scope, item) == [ItemState.NOT_APPLIED]
    await sweep(replace(scope, target=replace(scope.target, stack="other")))
    assert scratch_name(scope) in databases(scratch)
    assert (await STEPS.verify(scope, item)).evidence["wrong"][1].startswith("the scratch database runbook_drill_")
    await sweep(scope)
    assert databases(scratch) == ["postgres"]


def start_drill(scope: Scope, item: Item) -> subprocess.Popen[bytes]:
    child = subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, cwd=Path(__file__).parents[5])
    assert child.stdin is not None
    child.stdin.write(pickle.dumps((scope, item)))
    child.stdin.close()
    return child


def commented(server: PostgresServer) -> str:
    return server.sql("SELECT datname FROM pg_database WHERE shobj_description(oid, 'pg_database') LIKE 'runbookd:%'")


def sessions(server: PostgresServer, application: str) -> int:
    return int(server.sql(f"SELECT count(*) FROM pg_stat_activity WHERE application_name = '{application}'"))


async def sweep(scope: Scope) -> None:
    """Sweep as the remediator does after its start."""
    inventory = Inventory(stacks={scope.target.stack: scope.stack})
    await sweep_leftovers(SimpleNamespace(inventory=inventory))  # type: ignore[arg-type]
