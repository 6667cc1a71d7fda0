"""Each remediation has a permanent fix: a sentence, and a text that is whole whatever the names in it are."""

import configparser
import subprocess
from collections.abc import Sequence
from typing import Any

import pytest
import yaml

from remediator.model.permanent_fix import Cause, Fix
from remediator.model.remediation import Scope, TargetName
from remediator.remediations import REMEDIATIONS
from runbookd.inventory import RemediationSettings, Stack

HOSTILE = "x'\"; rm -rf / #\n$(reboot)`\u202e\\"
SECRET = "hunter2"
STACK = Stack.model_validate(
    {
        "postgres": {
            "main": {"dsn": f"postgresql://shop:{SECRET}@db/shop", "admin_dsn": f"postgresql://r:{SECRET}@db/s"}
        },
        "redis": {
            "main": {
                "url": f"redis://:{SECRET}@cache",
                "admin_url": f"redis://r:{SECRET}@cache",
                "caches": {"oauth": {"prefix": "oa\"uth ';:"}},
                "rate_limits": {"user": {"key": "rl:user:{subject}"}},
                "blocks": {"address": {"key": "blocked:{address}", "proxies": []}},
            }
        },
        "queues": {"main": {"redis": "main"}},
        "backups": {"main": {"url": "file:///backups", "pattern": "%Y%m%d.dump"}},
        "folders": {"main": {"path": "/var/log/shop's files", "pattern": "*'.log", "older_than": "14d", "keep": 7}},
        "commands": {"main": {"argv": ["/usr/bin/tidy", SECRET]}},
        "services": {
            "main": {"systemd": {"unit": "shop.service"}},
            "pm2": {"pm2": {"name": "shop"}, "workers": {"max": 4}},
            "compose": {"docker": {"project": "shop", "service": "web"}, "workers": {"max": 4}},
            "container": {"docker": {"container": "shop-web"}},
            "own": {"command": {"state": ["/bin/state"], "restart": ["/bin/restart", SECRET]}},
        },
    }
)
SERVICES = tuple(STACK.services)


def fix_of(name: str, causes: Sequence[Cause], target: str = "main") -> Fix:
    remediation = REMEDIATIONS[name]
    queue = HOSTILE if remediation.kind == "queues" else None
    at = TargetName("shop", remediation.kind, target, queue)
    return remediation.permanent_fix.write(Scope(STACK, at, RemediationSettings(), "recurring"), causes)


def hostile_cause(name: str) -> Cause:
    declared = REMEDIATIONS[name].permanent_fix
    values = {"cache": "oauth", "to": "3"}
    traits = {trait: values.get(trait, HOSTILE) for trait in (*declared.names, *declared.traits)}
    return Cause(traits, 7, dict.fromkeys(declared.numbers, 7))


def fixes() -> list[Any]:
    """Return every text that a remediation has: some have one per service manager."""
    targets = {"services": SERVICES}
    return [
        pytest.param(name, target, id=f"{name}-{target}")
        for name, each in REMEDIATIONS.items()
        for target in targets.get(each.kind, ("main",))
    ]


@pytest.mark.parametrize("name", REMEDIATIONS)
def test_fix_without_evidence_is_still_a_sentence(name: str) -> None:
    assert fix_of(name, []).advice.strip()


@pytest.mark.parametrize(("name", "target"), fixes())
def test_fix_is_a_sentence_and_a_whole_text_without_secrets(name: str, target: str) -> None:
    fix = fix_of(name, [hostile_cause(name)], target)
    assert fix.advice[0].isupper()
    assert fix.advice[-1] in ".:"
    assert (fix.advice[-1] == ":") <= bool(fix.snippet)
    assert bool(fix.snippet) == bool(fix.language)
    assert SECRET not in fix.advice + fix.snippet
    assert all(each.isprintable() for each in fix.snippet.splitlines())
    WHOLE.get(fix.language, lambda _: None)(fix.snippet)


def test_jobs_with_several_errors_get_more_attempts_than_any_of_them_made() -> None:
    causes = [
        Cause({"name": "welcome", "error": "TypeError"}, 9, {"attempts_made": 4}),
        Cause({"name": "welcome", "error": "TimeoutError"}, 2, {"attempts_made": 1}),
        Cause({"error": "TimeoutError"}, 1, {"attempts_made": 9}),
    ]
    [line] = fix_of("retry_failed_jobs", causes).snippet.splitlines()
    assert line.startswith('await queue.add("welcome", data, { attempts: 7, ')


def test_table_whose_rows_were_not_recorded_gets_the_threshold_of_postgresql() -> None:
    table = {"schema": "public", "table": "orders"}
    assert "_threshold = 50)" in fix_of("vacuum_tables", [Cause(table, 1)]).snippet
    assert "_threshold = 3)" in fix_of("vacuum_tables", [Cause(table, 1, {"dead": 7})]).snippet


def _check_yaml(text: str) -> None:
    [service] = yaml.safe_load(text)["services"].values()
    assert service in ({"restart": "unless-stopped"}, {"scale": 3})


def _check_ini(text: str) -> None:
    parser = configparser.ConfigParser()
    parser.read_string(text)
    assert {"Service", "Timer"} & set(parser.sections())


def _check_shell(text: str) -> None:
    """Require that bash can read it; its words are tested with `shell_word`."""
    assert subprocess.run(["bash", "-n"], input=text.encode(), capture_output=True, timeout=60).stderr == b""


def _check_sql(text: str) -> None:
    assert all(line.startswith("ALTER ") and line.endswith(";") for line in text.splitlines())


WHOLE = {"yaml": _check_yaml, "ini": _check_ini, "shell": _check_shell, "sql": _check_sql}
