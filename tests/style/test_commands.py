"""Every command that a page, a comment or a text of the product names exists, with its flags, routes and targets."""

import importlib.util
import re
import subprocess
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import typer.main

from exporter.settings import ExporterSettings
from remediator.settings import RemediatorSettings
from runbookctl.main import app
from runbookd.service.settings import read_settings
from tests.style.commands import SYNOPSES, Command, of_file
from tools.release.interface import FILE as INTERFACE

ROOT = Path(__file__).resolve().parents[2]
_LISTING = ["git", "ls-files", "-co", "--exclude-standard", "*.md", "*.py", "alert_rules", "deploy", "compose.yaml"]
SETTINGS: dict[str, Any] = {"runbook-exporter": ExporterSettings, "runbook-remediator": RemediatorSettings}
DAEMONS = {9850: "exporter", 9851: "remediator"}
OWN_PACKAGES = {"benchmarks", "chaos", "demo", "grafana", "soak", "tests", "tools"}
CATCH_ALL = "/{path}"  # the console's page of what is not found
_PLACEHOLDER = re.compile(r"^[A-Z]+$")
# Within a sentence, a command may lack its values, or have placeholders for them.
_ALLOWED_IN_PARTS = ("MissingParameter", "BadOptionUsage", "BadParameter", "NoArgsIsHelpError")


def commands() -> Iterator[Command]:
    """Yield the commands of every file outside tests/."""
    listing = subprocess.run(_LISTING, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    for file in sorted(set(listing)):
        if not file.startswith("tests/") and (ROOT / file).is_file():
            yield from of_file(file, (ROOT / file).read_text(encoding="utf-8"))


def problem_of(command: Command) -> str | None:
    """Return why a command would be refused, or None."""
    program, *words = command.words
    if program == "runbookctl":
        return _runbookctl(words, command.is_whole)
    if program in SETTINGS:
        return _daemon(program, words)
    return {"make": _make, "curl": _curl}.get(program, _python)(words)


@cache
def _tree() -> Any:
    """Return the commands of runbookctl without what they do."""

    def strip(command: Any) -> Any:
        command.callback = None
        for inner in getattr(command, "commands", {}).values():
            strip(inner)
        return command

    return strip(typer.main.get_command(app))


def _runbookctl(words: Sequence[str], is_whole: bool) -> str | None:
    values = ["1" if _PLACEHOLDER.match(word) else word for word in words]
    if not values:
        return None
    try:
        _tree().main(values, "runbookctl", standalone_mode=False)
    except Exception as error:
        is_allowed = not is_whole and type(error).__name__ in _ALLOWED_IN_PARTS
        return None if is_allowed else f"{type(error).__name__}: {getattr(error, 'message', error)}"
    return None


def _daemon(program: str, words: Sequence[str]) -> str | None:
    flags = [word.split("=")[0] for word in words if word.startswith("-")]
    if "--version" in flags or "--help" in flags:
        return None
    try:
        read_settings(SETTINGS[program], [word.replace("$PORT", "1") for word in words], program)
    except SystemExit:
        return f"{program} refuses {' '.join(flags)}"
    return None


def _make(words: Sequence[str]) -> str | None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for word in words:
        name, sign, _ = word.partition("=")
        known = f"$({name})" in makefile or f"$(if $({name})" in makefile
        if sign and not known:
            return f"the Makefile has no variable {name}"
        if not sign and not re.search(rf"^{re.escape(word)}:", makefile, re.MULTILINE):
            return f"the Makefile has no target {word}"
    return None


def _curl(words: Sequence[str]) -> str | None:
    method = next((words[at + 1] for at, word in enumerate(words[:-1]) if re.match(r"-\w*X$", word)), None)
    method = method or ("POST" if any(re.match(r"(-d|--data)", word) for word in words) else "GET")
    for url in (urlsplit(word) for word in words if word.startswith("http://127.0.0.1:")):
        routes = _routes(DAEMONS.get(url.port or 0, ""))
        if routes and not any(known == method and re.fullmatch(path, url.path or "/") for known, path in routes):
            return f"the {DAEMONS[url.port or 0]} has no route {method} {url.path}"
    return None


@cache
def _routes(daemon: str) -> Sequence[tuple[str, str]]:
    """Return the methods and paths of a daemon as patterns."""
    lines = INTERFACE.read_text(encoding="utf-8").splitlines()
    rows = [line.split()[2:] for line in lines if daemon and line.startswith(f"route {daemon} ")]
    return [(method, re.sub(r"\{\w+\}", "[^/]+", path)) for method, path in rows if path != CATCH_ALL]


def _python(words: Sequence[str]) -> str | None:
    module = words[1] if len(words) > 1 and words[0] == "-m" else ""
    if module.split(".")[0] not in OWN_PACKAGES or importlib.util.find_spec(module):
        return None
    return f"there is no module {module}"


def commands_of(file: str, text: str) -> list[tuple[str, ...]]:
    return [command.words for command in of_file(file, text)]


def test_every_command_that_is_named_exists() -> None:
    found = {str(command): problem for command in commands() if (problem := problem_of(command)) is not None}
    assert found == {}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("runbookctl runs --stack shop --state failed", None),
        ("runbookctl runs --stak shop", "No such option"),
        ("runbookctl run 12", None),
        ("runbookctl run", "MissingParameter"),
        ("runbookctl rnu 12", "No such command"),
        ("runbookctl plan terminate_idle_transactions shop/postgres/main now", "unexpected extra argument"),
        ("runbookctl status --url=https://remediator.example", None),
        ("runbook-exporter --config.file=inventory.yml --web.listen-address=:9850", None),
        ("runbook-exporter --config.fiel=inventory.yml", "refuses --config.fiel"),
        ("runbook-remediator --web.listen-address=9851x", "refuses --web.listen-address"),
        ("make demo ONCE=1", None),
        ("make dmeo", "no target dmeo"),
        ("make demo TWICE=1", "no variable TWICE"),
        ("curl -X POST http://127.0.0.1:9850/-/reload", None),
        ("curl -s http://127.0.0.1:9850/-/reload", "no route GET /-/reload"),
        ("curl http://127.0.0.1:9851/api/v1/rnus", "no route GET /api/v1/rnus"),
        ("curl http://127.0.0.1:9090/-/anything", None),
        ("python -m tools.docs.build", None),
        ("python -m tools.docs.biuld", "no module tools.docs.biuld"),
    ],
)
def test_command_that_would_be_refused_is_found(line: str, problem: str | None) -> None:
    (command,) = of_file("a.md", f"```sh\n{line}\n```\n")
    found = problem_of(command)
    assert found is None if problem is None else found is not None and problem in found


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("a.md", "```sh\nsudo -u x A=b ~/bin/runbookctl status # why\n```", [("runbookctl", "status")]),
        ("a.md", "```console\n$ runbookctl run \\\n  12 | head\n```", [("runbookctl", "run", "12")]),
        ("a.md", "    cd shop && make demo-up > log", [("make", "demo-up")]),
        ("a.md", "```yaml\nmake: it\n```", []),
        ("a.md", "Run `runbookctl run N`, and make sure.", [("runbookctl", "run", "N")]),
        ("a.md", "```sh\ndocker compose exec remediator runbookctl runs\n```", [("runbookctl", "runs")]),
        ("a.md", "```sh\nsudo systemctl restart runbook-exporter\n```", []),
        (SYNOPSES, "| `runs`, `why N` | a |", [("runbookctl", "runs"), ("runbookctl", "why", "N")]),
        ("deploy/a.sql", "--     make test\nSELECT 1;", [("make", "test")]),
        ("alert_rules/a.yml", "      runbookctl plan {{ $labels.fix }}", [("runbookctl", "plan", "x")]),
        ("a.py", 'f"run `runbookctl run {1}`"', [("runbookctl", "run", "{}")]),
    ],
)  # fmt: skip
def test_command_is_found_where_readers_see_it(file: str, text: str, words: list[tuple[str, ...]]) -> None:
    assert commands_of(file, text) == words
