"""`runbookctl doctor` on real servers: deploy/ passes without a finding, and each printed repair works."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo.servers.postgres import PostgresServer
from demo.servers.redis import RedisServer
from runbookctl.doctor.postgres import EXPORTER, REMEDIATOR, Role
from runbookctl.main import main
from tools.toolchain.errors import SetupError

DEPLOY = Path(__file__).parents[3] / "deploy" / "postgres"
Doctor = Callable[..., tuple[int, dict[str, list[dict[str, str]]]]]


@pytest.fixture
def doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Run the command on an inventory; return its exit code and the findings by target."""

    def run(inventory: str, *arguments: str) -> tuple[int, dict[str, list[dict[str, str]]]]:
        file = tmp_path / "inventory.yml"
        file.write_text(inventory)
        monkeypatch.setattr(sys, "argv", ["runbookctl", "doctor", f"--config.file={file}", "-o", "json", *arguments])
        code = main()
        answer = json.loads(capsys.readouterr().out)
        found = {each["target"]: each["findings"] for each in answer["targets"]}
        assert answer["findings"] == sum(map(len, found.values()))
        return code, found

    return run


def _grant(server: PostgresServer) -> PostgresServer:
    """Create both roles from deploy/, running each file twice because it must be idempotent."""
    for role, file in (("metrics", "exporter.sql"), ("remediator", "remediator.sql")):
        server.add_role(role)
        for _ in range(2):
            server.sql((DEPLOY / file).read_text())
    return server


@pytest.fixture(scope="module")
def granted(servers_folder: Path) -> Iterator[PostgresServer]:
    server = PostgresServer(servers_folder / "granted_postgres")
    server.start()
    server.sql("CREATE EXTENSION pg_stat_statements; CREATE TABLE orders (id int); CREATE ROLE app")
    yield _grant(server)
    server.remove()


def _inventory(server: PostgresServer, more: str = "") -> str:
    target = f'dsn: "{server.dsn("metrics")}", admin_dsn: "{server.dsn("remediator")}"{more}'
    return f"stacks: {{shop: {{postgres: {{main: {{{target}}}}}}}}}"


def test_roles_from_deploy_have_no_findings(granted: PostgresServer, doctor: Doctor) -> None:
    assert doctor(_inventory(granted)) == (0, {"shop/postgres/main": []})


def test_role_has_exactly_the_grants_and_limits_of_its_file(granted: PostgresServer) -> None:
    query = """
        SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls, rolconnlimit,
               ARRAY(SELECT unnest(rolconfig) ORDER BY 1),  -- a repair puts its setting last
               ARRAY(SELECT roleid::regrole::text FROM pg_auth_members WHERE member = pg_roles.oid)
        FROM pg_roles WHERE rolname = 'metrics'"""
    assert granted.sql(query) == (
        "f|4|{default_transaction_read_only=on,idle_session_timeout=5min,lock_timeout=1s,statement_timeout=10s,"
        "tcp_keepalives_idle=30}|{pg_monitor}"
    )


@pytest.fixture(params=[16, 18])
def other_version(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PostgresServer]:
    """Start a separate server: roles are server-wide, and other tests create theirs on the shared one."""
    server = PostgresServer(tmp_path / "postgres", version=request.param)
    try:
        server.start()
    except SetupError as error:
        pytest.skip(str(error))
    yield server
    server.remove()


def test_role_files_work_on_other_postgres_versions(other_version: PostgresServer, doctor: Doctor) -> None:
    code, found = doctor(_inventory(_grant(other_version)))
    [finding] = found["shop/postgres/main"]
    assert code == 0
    assert finding["optional"]
    assert finding["problem"] == "pg_stat_statements is not loaded: statements are not counted"


@pytest.mark.parametrize(("file", "role"), [("exporter.sql", EXPORTER), ("remediator.sql", REMEDIATOR)])
def test_doctor_recommends_the_values_of_the_role_file(file: str, role: Role) -> None:
    text = (DEPLOY / file).read_text()
    assert dict(re.findall(r"ALTER ROLE \w+ SET (\w+) = (.+);", text)) == dict(role.settings)
    assert f" CONNECTION LIMIT {role.connections};" in text
    assert f"GRANT {', '.join(role.needs)} TO " in text


@pytest.mark.parametrize(("file", "role"), [("exporter.sql", "metrics"), ("remediator.sql", "remediator")])
def test_role_file_narrows_a_role_that_is_too_wide(
    file: str, role: str, granted: PostgresServer, doctor: Doctor
) -> None:
    granted.sql(f"ALTER ROLE {role} SUPERUSER CREATEDB CONNECTION LIMIT -1")
    granted.sql((DEPLOY / file).read_text())
    assert doctor(_inventory(granted))[0] == 0


def test_administrator_who_is_no_superuser_can_run_both_role_files(granted: PostgresServer) -> None:
    granted.add_role("administrator", "CREATEROLE")
    granted.sql("GRANT pg_monitor, pg_signal_backend, pg_read_all_stats TO administrator WITH ADMIN OPTION")
    for file in ("exporter.sql", "remediator.sql"):
        granted.sql((DEPLOY / file).read_text(), role="administrator")


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("ALTER ROLE metrics SUPERUSER", "role metrics is SUPERUSER"),
        ("ALTER ROLE metrics CREATEDB REPLICATION", "role metrics is CREATEDB and REPLICATION"),
        ("REVOKE pg_monitor FROM metrics", "role metrics lacks pg_monitor"),
        ("GRANT app TO metrics", "role metrics is a member of app, and has all its rights"),
        ("GRANT INSERT ON orders TO metrics", "role metrics may write to public.orders"),
        ("GRANT TRUNCATE ON orders TO PUBLIC", "role metrics may write to public.orders"),
        ("GRANT CREATE ON SCHEMA public TO metrics", "role metrics may create tables in schema public"),
        ("ALTER ROLE metrics RESET statement_timeout", "role metrics has no statement_timeout"),
        ("ALTER ROLE metrics RESET lock_timeout", "role metrics has no lock_timeout"),
        ("ALTER ROLE metrics RESET idle_session_timeout", "role metrics has no idle_session_timeout"),
        ("ALTER ROLE metrics RESET tcp_keepalives_idle", "role metrics has no tcp_keepalives_idle"),
        ("ALTER ROLE metrics RESET default_transaction_read_only", "role metrics has no default_transaction_read_only"),
        ("ALTER ROLE metrics CONNECTION LIMIT -1", "role metrics may take every connection of the server"),
        ("DROP EXTENSION pg_stat_statements", "database postgres has no extension pg_stat_statements"),
        ("REVOKE pg_signal_backend FROM remediator", "admin_dsn: role remediator lacks pg_signal_backend"),
        ("ALTER ROLE remediator RESET lock_timeout", "admin_dsn: role remediator has no lock_timeout"),
    ],
)
def test_printed_repair_removes_the_finding(granted: PostgresServer, doctor: Doctor, damage: str, problem: str) -> None:
    granted.sql(damage)
    try:
        code, found = doctor(_inventory(granted))
        [finding] = [each for each in found["shop/postgres/main"] if each["problem"] == problem]
        assert code == (0 if finding["optional"] else 1)
    finally:
        granted.sql(finding["repair"])
    assert doctor(_inventory(granted)) == (0, {"shop/postgres/main": []})


def test_table_owned_by_the_role_is_reported(granted: PostgresServer, doctor: Doctor) -> None:
    granted.sql('CREATE TABLE "Mine of 7" (id int); ALTER TABLE "Mine of 7" OWNER TO metrics')
    try:
        _, found = doctor(_inventory(granted))
        assert [each["problem"] for each in found["shop/postgres/main"]] == ['role metrics owns public."Mine of 7"']
    finally:
        granted.sql('DROP TABLE "Mine of 7"')


def test_doctor_runs_each_query_and_names_its_missing_right(granted: PostgresServer, doctor: Doctor) -> None:
    granted.sql('CREATE TABLE "Audit Log" (id int)')
    queries = (
        ', queries: {good: {help: G., sql: "SELECT 1 AS value"}, bad: {help: B., sql: "SELECT 1"},'
        " hidden: {help: H., sql: 'SELECT count(*) AS value FROM \"Audit Log\"'}}"
    )
    code, found = doctor(_inventory(granted, queries))
    assert code == 1
    assert [(each["problem"], each["repair"].partition(" TO ")[0]) for each in found["shop/postgres/main"]] == [
        (
            "queries.bad: sql returns no column 'value', only ?column?; name it with AS",
            "fix its sql in the inventory",
        ),
        ("queries.hidden: permission denied for table Audit Log", 'GRANT SELECT ON "Audit Log"'),
    ]


def test_unreadable_server_is_one_finding_without_its_password(granted: PostgresServer, doctor: Doctor) -> None:
    inventory = _inventory(granted).replace(granted.dsn("metrics"), "postgresql://metrics:hunter2@127.0.0.1:1/shop")
    code, found = doctor(inventory)
    [finding] = found["shop/postgres/main"]
    assert code == 1
    assert "127.0.0.1:1: the connection is refused" in finding["problem"]
    assert "hunter2" not in str(found)


def test_address_that_asks_for_another_server_is_one_finding(granted: PostgresServer, doctor: Doctor) -> None:
    dsn = granted.dsn("remediator")
    code, found = doctor(_inventory(granted).replace(dsn, f"{dsn}?target_session_attrs=standby"))
    [finding] = found["shop/postgres/main"]
    assert code == 1
    assert "no server of the address is one that target_session_attrs asks for" in finding["problem"]


def test_doctor_checks_only_the_selected_stack(granted: PostgresServer, doctor: Doctor) -> None:
    inventory = _inventory(granted)[:-1] + ", mail: {http: {api: {url: 'http://127.0.0.1:1/'}}}}"
    assert list(doctor(inventory, "--stack", "mail")[1]) == ["mail/http/api"]
    assert list(doctor(inventory)[1]) == ["shop/postgres/main", "mail/http/api"]


def test_unknown_stack_is_a_usage_error(
    granted: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "inventory.yml"
    file.write_text(_inventory(granted))
    monkeypatch.setattr(sys, "argv", ["runbookctl", "doctor", f"--config.file={file}", "--stack", "shoes"])
    monkeypatch.setenv("COLUMNS", "200")
    assert main() == 2
    assert "no stack 'shoes'; there are: shop" in capsys.readouterr().err


OTHERS = "user default off\nuser root on nopass ~* &* +@all\nuser app on nopass ~app:* &* +@all\n"


def _users(file: str = "metrics.acl") -> str:
    """Return the user of deploy/redis/ with a password, and two users with too many rights."""
    return OTHERS + (DEPLOY.parent / "redis" / file).read_text().replace("user metrics on", "user metrics on >hush")


@pytest.fixture
def redis_with(tmp_path: Path) -> Iterator[Callable[[str, str], RedisServer]]:
    """Start Redis servers of a version with these users."""
    started: list[RedisServer] = []

    def start(acl: str, version: str = "7.0") -> RedisServer:
        file = tmp_path / "users.acl"
        file.write_text(acl)
        started.append(RedisServer(tmp_path / "redis", acl=file, version=version))
        started[-1].start()
        return started[-1]

    yield start
    for server in started:
        server.remove()


def _redis_inventory(url: str, queues: str = "") -> str:
    return f'stacks: {{shop: {{redis: {{main: {{url: "{url}"}}}}{queues}}}}}'


@pytest.mark.parametrize("version", ["6.2", "7.0", "valkey"])
def test_read_only_redis_user_has_no_findings(redis_with, doctor: Doctor, version: str) -> None:
    server = redis_with(_users("metrics-6.2.acl" if version == "6.2" else "metrics.acl"), version)
    assert doctor(_redis_inventory(server.url("metrics", "hush"))) == (0, {"shop/redis/main": []})


def test_numbers_that_the_exporter_leaves_out_are_noted(redis_with, tmp_path, monkeypatch, capsys) -> None:
    server = redis_with(_users().replace(" +latency|latest", ""))
    file = tmp_path / "inventory.yml"
    file.write_text(_redis_inventory(server.url("metrics", "hush")))
    monkeypatch.setattr(sys, "argv", ["runbookctl", "doctor", f"--config.file={file}"])
    main()
    assert "  note: LATENCY LATEST is refused, so its metrics are absent:" in capsys.readouterr().out


def test_redis_user_without_info_gets_the_statement(redis_with, doctor: Doctor) -> None:
    server = redis_with(_users().replace(" +info", ""))
    _, found = doctor(_redis_inventory(server.url("metrics", "hush")))
    assert [each["repair"] for each in found["shop/redis/main"]] == ["ACL SETUSER metrics +info"]


def test_redis_user_with_missing_or_excess_rights_is_reported(redis_with, doctor: Doctor) -> None:
    server = redis_with(_users().replace(" +slowlog|len", ""))
    _, found = doctor(_redis_inventory(server.url("metrics", "hush")))
    assert found["shop/redis/main"] == [
        {
            "problem": "user metrics may not run SLOWLOG LEN",
            "repair": "ACL SETUSER metrics +slowlog|len",
            "optional": False,
        }
    ]
    for user in ("root", "app"):
        _, found = doctor(_redis_inventory(server.url(user, "any"), ", queues: {jobs: {redis: main, names: [emails]}}"))
        [finding] = found["shop/redis/main"]
        assert finding["problem"] == f"user {user} may write or configure; it should only read"
    _, file = (DEPLOY.parent / "redis" / "metrics.acl").read_text().split("user metrics on ")
    assert f" {file.strip()};" in finding["repair"]


def test_queues_on_an_evicting_server_are_reported(redis_with, doctor: Doctor, tmp_path: Path) -> None:
    server = redis_with(_users())
    redis = _ask(server, "CONFIG SET maxmemory-policy allkeys-lru")
    assert b"+OK" in redis
    queues = ", queues: {jobs: {redis: main, names: [emails]}}"
    _, found = doctor(_redis_inventory(server.url("metrics", "hush"), queues))
    assert [each["problem"] for each in found["shop/redis/main"]] == [
        "maxmemory-policy is allkeys-lru: when memory runs out, the server drops queued jobs"
    ]
    assert doctor(_redis_inventory(server.url("metrics", "hush")))[0] == 0


@pytest.mark.parametrize("add", ["", "HSET bull:emails:meta opts.maxLenEvents 10000"])
def test_discovered_queues_have_no_findings(redis_with, doctor: Doctor, add: str) -> None:
    server = redis_with(_users())
    if add:
        assert b":1" in _ask(server, add)
    queues = ", queues: {jobs: {redis: main, names: discover}}"
    found = {"shop/redis/main": [], "shop/queues/jobs": []}
    assert doctor(_redis_inventory(server.url("metrics", "hush"), queues)) == (0, found)


def _ask(server: RedisServer, command: str) -> bytes:
    return server._ask(f"AUTH root any\r\n{command}\r\n")


def test_pattern_that_matches_no_object_is_reported(doctor: Doctor, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    (folder / "db-2026-01-01.dump").write_text("x")
    backup = '{{url: "file://{}/", pattern: "{}"}}'
    inventory = f"stacks: {{shop: {{backups: {{nightly: {backup.format(folder, 'db_%Y%m%d.dump')}}}}}}}"
    code, found = doctor(inventory)
    assert code == 1
    assert [each["problem"] for each in found["shop/backups/nightly"]] == [
        "no object in the folder matches the pattern 'db_%Y%m%d.dump'"
    ]
    assert doctor(inventory.replace("db_%Y%m%d", "db-%Y-%m-%d"))[0] == 0


def test_findings_are_printed_as_text(
    granted: PostgresServer, tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "inventory.yml"
    file.write_text(_inventory(granted))
    monkeypatch.setattr(sys, "argv", ["runbookctl", "doctor", f"--config.file={file}"])
    granted.sql("ALTER ROLE metrics CONNECTION LIMIT -1")
    try:
        assert main() == 1
    finally:
        granted.sql("ALTER ROLE metrics CONNECTION LIMIT 4")
    assert capsys.readouterr().out == (
        "shop/postgres/main: 1 finding\n"
        "  - role metrics may take every connection of the server\n"
        "      ALTER ROLE metrics CONNECTION LIMIT 4;\n"
    )


def test_tables_that_the_role_may_not_vacuum_are_reported(granted: PostgresServer, doctor: Doctor) -> None:
    settings = "remediations: {vacuum_tables: {mode: auto, only_in: night}}"
    windows = 'windows: {night: {days: [sun], from: "02:00", to: "04:00"}}'
    inventory = _inventory(granted)[:-2] + f", {windows}, {settings}" + "}}"
    _, found = doctor(inventory)
    problems = {each["problem"]: each["repair"] for each in found["shop/postgres/main"]}
    version = granted.sql("SHOW server_version_num").strip()[:2]
    refused = f"admin_dsn: PostgreSQL {version} has no MAINTAIN: the runs of vacuum_tables are refused in mode auto"
    missing = next(problem for problem in problems if "may not vacuum and analyze public." in problem)
    assert set(problems) == {refused, missing}
    assert problems[missing].endswith("-v schema=public -f deploy/postgres/maintain_tables.sql")
    assert not any(doctor(inventory.replace("mode: auto", "mode: off"))[1].values())
