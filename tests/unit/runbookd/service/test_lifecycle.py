"""A daemon as a process: exit codes, messages without tracebacks, signals."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).with_name("example_daemon.py")
ROOT = Path(__file__).parents[4]
ARGV = [sys.executable, str(EXAMPLE)]


def environment(**extra: str) -> dict[str, str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("RUNBOOK") and "_URL" not in key}
    return {**inherited, "PYTHONPATH": str(ROOT), **extra}


def run_to_end(*argv: str, **extra: str) -> tuple[int, str, str]:
    result = subprocess.run([*ARGV, *argv], env=environment(**extra), capture_output=True, text=True, timeout=60)
    return result.returncode, result.stdout, result.stderr


@contextmanager
def running(*argv: str, **extra: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Yield the process and its first log line."""
    with subprocess.Popen([*ARGV, *argv], env=environment(**extra), stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            yield process, process.stderr.readline()
        finally:
            process.kill()


def get(line: str, path: str) -> tuple[int, str]:
    match = re.search(r"address=(\S+)", line)
    assert match, line
    try:
        with urllib.request.urlopen(f"http://{match[1]}{path}", timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    file = tmp_path / "inventory.yml"
    file.write_text("stacks:\n  shop:\n    http: {}\n")
    return file


def test_daemon_without_inventory_is_healthy_but_not_ready() -> None:
    with running() as (_, line):
        assert get(line, "/-/healthy") == (200, "healthy\n")
        assert get(line, "/-/ready") == (503, "no inventory\n")


def test_daemon_with_inventory_is_ready(inventory: Path) -> None:
    with running(RUNBOOK_CONFIG_FILE=str(inventory)) as (_, line):
        assert get(line, "/-/ready") == (200, "ready\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_the_daemon_with_code_0(number: signal.Signals) -> None:
    with running() as (process, _):
        process.send_signal(number)
        assert process.wait(timeout=60) == 0


def test_log_names_the_real_address() -> None:
    with running("--log.format=json") as (_, line):
        event = json.loads(line)
    assert event["event"] == "listening"
    assert event["level"] == "info"
    assert not event["address"].endswith(":0")


def test_port_in_use_is_reported_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, _, err = run_to_end("--web.listen-address", address)
    assert (code, err) == (
        1,
        f"cannot listen on {address}: it is in use; choose another with --web.listen-address\n",
    )


def test_invalid_inventory_exits_with_2_and_every_problem(inventory: Path) -> None:
    inventory.write_text("stacks:\n  shop:\n    redis_: {}\n    http: {api: {url: ftp://x}}\n")
    for argv in ([], ["--config.check"]):
        code, _, err = run_to_end("--config.file", str(inventory), *argv)
        assert code == 2
        assert f"{inventory}:3: stacks.shop.redis_: unknown key; did you mean 'redis'?\n" in err
        assert f"{inventory}:4: stacks.shop.http.api.url: " in err
        assert "Traceback" not in err


def test_unusable_configuration_exits_with_2(inventory: Path) -> None:
    inventory.write_text("stacks:\n  unusable: {}\n")
    assert run_to_end("--config.file", str(inventory)) == (2, "", "stacks.unusable: rename it\n")


def test_check_prints_findings_with_their_lines(inventory: Path) -> None:
    code, out, err = run_to_end("--config.file", str(inventory), "--config.check")
    assert (code, out, err) == (1, f"{inventory}:2: stacks.shop.redis: there is none\n", "")


@pytest.mark.parametrize(("redirection", "code"), [(">/dev/full", 1), (">&-", 0), ("", 0)])
def test_check_answers_on_every_output(inventory: Path, redirection: str, code: int) -> None:
    inventory = inventory.rename(inventory.with_name("größe→.yml"))
    inventory.write_text("stacks:\n  shop:\n    redis: {main: {url: redis://cache}}\n")
    words = ["/bin/sh", "-c", f'"$@" {redirection}', "sh", *ARGV, "--config.file", str(inventory), "--config.check"]
    result = subprocess.run(words, env=environment(PYTHONIOENCODING="ascii"), capture_output=True, text=True)
    assert (result.returncode, "Traceback" in result.stderr) == (code, False), result.stderr


def test_check_of_variables_names_the_environment() -> None:
    code, out, _ = run_to_end("--config.check", RUNBOOK__STACKS__SHOP__RUNBOOK_URL="x")
    assert (code, out) == (1, "environment: stacks.shop.redis: there is none\n")


def test_check_without_findings_exits_with_0(inventory: Path) -> None:
    code, out, _ = run_to_end("--config.check", REDIS_URL="redis://cache:6379/0")
    assert (code, out) == (0, "environment: no problems found, stacks: default\n")


def test_check_without_inventory_says_how_to_pass_one() -> None:
    code, out, _ = run_to_end("--config.check")
    assert code == 1
    assert "--config.file" in out


def test_web_configuration_guards_the_daemon(tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    file.write_text("basic_auth_users: {prometheus: $2b$04$" + "a" * 53 + "}\n")
    for argv, variables in (([f"--web.config.file={file}"], {}), ([], {"RUNBOOK_WEB_CONFIG_FILE": str(file)})):
        with running(*argv, **variables) as (_, line):
            assert get(line, "/-/healthy") == (401, "Unauthorized\n")


def test_invalid_web_configuration_exits_with_2(tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    assert run_to_end("--web.config.file", str(file)) == (
        2,
        "",
        f"{file}: cannot read the file: No such file or directory; check its path\n",
    )
    file.write_text("tls_server_config: {cert_file: server.pem, key_file: server.key}\n")
    for check in ([], ["--config.check"]):
        code, _, err = run_to_end("--web.config.file", str(file), *check)
        assert code == 2
        assert err.startswith(f"{file}: tls_server_config: ")
        assert "server.pem" in err
