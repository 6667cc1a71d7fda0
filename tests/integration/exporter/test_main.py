"""The console script as operators run it: exit codes, messages, signals, and never a traceback."""

import asyncio
import os
import re
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tools.toolchain.paths import ROOT, venv_program

GOOD = """\
stacks:
  shop:
    redis:
      main: {url: "redis://metrics:hunter2@127.0.0.1:1/0"}
"""


def environment(**extra: str) -> dict[str, str]:
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("RUNBOOK") and "_URL" not in name
    }
    return {**inherited, "PYTHONPATH": str(ROOT), **extra}


def run(*argv: str, **extra: str) -> tuple[int, str, str]:
    program = [venv_program("runbook-exporter"), *argv]
    result = subprocess.run(program, env=environment(**extra), cwd=ROOT, capture_output=True, text=True, timeout=120)
    return result.returncode, result.stdout, result.stderr


def write(folder: Path, text: str) -> Path:
    file = folder / "inventory.yml"
    file.write_text(text)
    return file


@pytest.mark.parametrize("argv", [(), ("--config.check",)])
def test_typo_in_the_inventory_exits_2_and_names_the_line(tmp_path: Path, argv: tuple[str, ...]) -> None:
    file = write(tmp_path, GOOD.replace("redis:\n", "reddis:\n"))
    code, _, err = run("--config.file", str(file), *argv)
    assert (code, err) == (2, f"{file}:3: stacks.shop.reddis: unknown key; did you mean 'redis'?\n")


def test_check_reports_every_missing_secret(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "stacks:\n"
        "  shop:\n"
        "    postgres:\n"
        "      main:\n"
        "        dsn_file: /nowhere/dsn\n"
        "        admin_dsn_file: /nowhere/admin\n"
        "    backups:\n"
        "      nightly: {url: 's3://b/', pattern: '%Y%m%d',\n"
        "                options_file: /nowhere/options}\n",
    )
    remedy = "(No such file or directory); create it, readable by this user only"
    assert run("--config.file", str(file), "--config.check") == (
        1,
        f"{file}:5: stacks.shop.postgres.main.dsn_file: cannot read /nowhere/dsn {remedy}\n"
        f"{file}:9: stacks.shop.backups.nightly.options_file: cannot read /nowhere/options {remedy}\n",
        "",
    )


def test_check_of_a_valid_inventory_exits_0(tmp_path: Path) -> None:
    file = write(tmp_path, GOOD)
    assert run("--config.file", str(file), "--config.check") == (0, f"{file}: no problems found, stacks: shop\n", "")


def test_unknown_flag_exits_2_with_a_suggestion() -> None:
    code, _, err = run("--web.listen-adress=:1")
    assert code == 2
    assert err == "runbook-exporter: unknown flag --web.listen-adress, did you mean --web.listen-address?; see --help\n"


async def test_exporter_serves_logs_no_secrets_and_stops_on_sigterm(tmp_path: Path) -> None:
    file = write(tmp_path, GOOD)
    process = await asyncio.create_subprocess_exec(
        venv_program("runbook-exporter"),
        *("--config.file", str(file), "--web.listen-address", "127.0.0.1:0"),
        env=environment(),
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    first = (await process.stderr.readline()).decode()
    found = re.search(r"event=listening address=(\S+)", first)
    assert found, first
    get = urllib.request.urlopen
    assert (await asyncio.to_thread(get, f"http://{found[1]}/-/ready")).status == 200
    page = (await asyncio.to_thread(get, f"http://{found[1]}/metrics")).read().decode()
    assert 'redis_up{stack="shop",target="main"} 0.0' in page
    process.send_signal(signal.SIGTERM)
    _, rest = await process.communicate()
    assert process.returncode == 0
    assert "target is not up" in rest.decode()
    assert "hunter2" not in page + first + rest.decode()
    assert "Traceback" not in rest.decode()


async def test_sighup_reloads_the_running_program(tmp_path: Path) -> None:
    file = write(tmp_path, GOOD)
    process = await asyncio.create_subprocess_exec(
        venv_program("runbook-exporter"),
        *("--config.file", str(file), "--web.listen-address", "127.0.0.1:0"),
        env=environment(),
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        assert b"event=listening" in await process.stderr.readline()
        for text, expected in (
            (GOOD.replace("redis:\n", "reddis:\n"), b'event="reload failed, keeping the previous inventory"'),
            (GOOD.replace("shop:", "mail:"), b"event=reloaded stacks=mail"),
        ):
            write(tmp_path, text)
            process.send_signal(signal.SIGHUP)
            assert expected in await process.stderr.readline()
    finally:
        process.terminate()
        await process.communicate()
    assert process.returncode == 0
