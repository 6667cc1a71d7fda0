"""The folder that `init` writes, with real servers: its commands create the rights that `doctor` wants."""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from demo.installation import installed
from demo.servers.postgres import PostgresServer
from demo.servers.redis import RedisServer
from runbookctl.main import app
from runbookctl.starter.files import Starter, write_set
from runbookctl.starter.postgres_roles import PostgresPlace
from runbookctl.starter.redis_users import RedisPlace
from tools.toolchain.errors import SetupError
from tools.toolchain.paths import launcher


@pytest.fixture(scope="module")
def fresh_postgres(servers_folder: Path) -> Iterator[PostgresServer]:
    """Run a server without any of our roles."""
    server = PostgresServer(servers_folder / "init-postgres")
    server.start()
    server.add_database("shop")
    yield server
    server.remove()


@pytest.fixture(params=["7.0", "6.2"])
def fresh_redis(servers_folder: Path, request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """Run a server without any of our users."""
    try:
        server = RedisServer(servers_folder / f"init-redis-{request.param}", version=request.param)
    except SetupError as error:
        pytest.skip(str(error))
    server.start()
    yield server
    server.remove()


def test_commands_of_the_folder_give_rights_that_doctor_finds_complete(
    fresh_postgres: PostgresServer, fresh_redis: RedisServer, tmp_path: Path
) -> None:
    folder = tmp_path / "shop"
    places = PostgresPlace("127.0.0.1", fresh_postgres.port, "shop"), RedisPlace("127.0.0.1", fresh_redis.port, 0)
    write_set(folder, Starter("shop", *places))
    fresh_postgres.sql((folder / "secrets/postgres_roles.sql").read_text())
    cli: list[str | Path] = [launcher("redis-cli"), "-p", str(fresh_redis.port)]
    with (folder / "secrets/redis_users").open() as commands:
        subprocess.run(cli, stdin=commands, check=True, capture_output=True)
    result = CliRunner().invoke(app, ["doctor", f"--config.file={folder}/inventory.yml"])
    problems = [line for line in result.output.splitlines() if line.startswith("  - ")]
    unexpected = [line for line in problems if "optional" not in line and "maxmemory" not in line]
    assert [line for line in unexpected if "cannot read Alertmanager" not in line] == []  # it is started later
    assert "shop/postgres/main: ok" in result.output


def test_wheel_installs_all_files_that_init_writes(tmp_path: Path) -> None:
    """In an environment that holds the wheel and what it depends on, away from the checkout."""
    commands = installed(tmp_path / "wheel", wheel=True).commands
    subprocess.run([commands / "runbookctl", "init", tmp_path / "written", *PMCRM], check=True, cwd=tmp_path)
    CliRunner().invoke(app, ["init", str(tmp_path / "expected"), *PMCRM], catch_exceptions=False)
    written, expected = (_files_of(tmp_path / name) for name in ("written", "expected"))
    assert set(written) == set(expected)
    assert [name for name in written if written[name] != expected[name]] == []
    assert asyncio.run(_version_of(commands / "runbook-exporter")).startswith("runbook-exporter")


PMCRM = ("--runbook", "pmcrm", "--stack", "crm")


def _files_of(folder: Path) -> dict[str, str]:
    """Return each file's text without the folder's own name; of secrets, which differ, only that they are there."""
    return {
        str(file.relative_to(folder)): ""
        if "secrets" in file.parts
        else file.read_text(encoding="utf-8").replace(str(folder), "FOLDER")
        for file in folder.rglob("*")
        if file.is_file()
    }


async def _version_of(program: Path) -> str:
    process = await asyncio.create_subprocess_exec(program, "--version", stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    return output.decode()
