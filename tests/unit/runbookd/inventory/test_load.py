"""The inventory reports every mistake with place and remedy, and never shows a secret."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from runbookd.addresses.postgres import read_postgres_address
from runbookd.inventory import Change, InventoryError, Mode, QueueTarget, SecretError, load_inventory

GOOD = """\
alertmanager: {url: http://127.0.0.1:9093}
stacks:
  shop:
    postgres:
      main: {dsn: "postgresql://metrics:hunter2@db/shop"}
    redis:
      cache: {url: "redis://cache:6379/0"}
    queues:
      jobs: {redis: cache, dead_letter: "{name}-dlq"}
    backups:
      nightly: {url: "s3://backups/db/", pattern: "db_%Y%m%d_%H%M%S.dump"}
    windows:
      maintenance: {days: [sun], from: "02:00", to: "04:00"}
    remediations:
      terminate_idle_transactions: {mode: auto, older_than: 5m, max_items: 10, only_in: maintenance}
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "inventory.yml"
    file.write_text(text, encoding="utf-8")
    return file


def problems(folder: Path, text: str, **environ: str) -> list[str]:
    with pytest.raises(InventoryError) as caught:
        load_inventory(write(folder, text), environ)
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


def test_complete_file_becomes_typed_settings(tmp_path: Path) -> None:
    inventory = load_inventory(write(tmp_path, GOOD), {})
    assert inventory is not None
    settings = inventory.stacks["shop"].remediations["terminate_idle_transactions"]
    assert settings.mode is Mode.AUTO
    assert settings.older_than == timedelta(minutes=5)
    assert inventory.stacks["shop"].postgres["main"].dsn_secret().read() == "postgresql://metrics:hunter2@db/shop"


def test_secrets_are_never_shown(tmp_path: Path) -> None:
    assert "hunter2" not in repr(load_inventory(write(tmp_path, GOOD), {}))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("dsn:", "dns:", "inventory.yml:5: stacks.shop.postgres.main.dns: unknown key; did you mean 'dsn'?"),
        ("queues:", "queue:", "inventory.yml:8: stacks.shop.queue: unknown key; did you mean 'queues'?"),
        ("older_than: 5m", "older_then: 5m", "unknown key; did you mean 'older_than'?"),
        ("5m", "5 minutes", "'5 minutes' is not a duration; write it like 90s, 5m, 24h, 7d or 1h30m"),
        ("5m", "300", "a duration needs a unit: write 300s, not 300"),
        ("older_than: 5m", "older_than: 0s", "older_than must be at least 1s"),
        ("redis: cache,", "redis: main,", "there is no redis 'main'; the stack has 'cache'"),
        ("only_in: maintenance", "only_in: night", "there is no window 'night'; the stack has 'maintenance'"),
        ('"02:00"', "14:00", 'a time of day needs quotes, as in "14:00"'),
        ("  shop:", "  Shop-1:", "not a name; use lower-case letters, digits and single underscores"),
        ("_%Y%m%d_%H%M%S", "", "pattern has no day"),
        ("max_items: 10", "max_items: 0", "stacks.shop.remediations.terminate_idle_transactions.max_items"),
        ("mode: auto", "mode: yes", "must be 'off', 'shadow', 'approve' or 'auto'"),
        (
            "    redis:\n",
            "    postgres: {}\n    redis:\n",
            "inventory.yml:6: stacks.shop.postgres: duplicate key; keep one",
        ),
        ("stacks:", "stacks", "inventory.yml:3: is not valid YAML"),
        ("  shop:", "\tshop:", "is not valid YAML: indent with blanks instead of tabs"),
        (
            "    redis:\n",
            "    services: {a: {systemd: {unit: web}}}\n    redis:\n",
            "the name of a unit, such as web.service",
        ),
        (
            "    redis:\n",
            "    http: {a: {url: 'http://a', refresh: 5m}}\n    redis:\n",
            "refresh: unknown key; known here: ",
        ),
        ('to: "04:00"', 'to: "02:00"', "the window is empty"),
        (
            '"{name}-dlq"',
            "-dlq",
            "dead_letter must contain {name}, as in '{name}-dlq', or be 'failed' or a map of queues",
        ),
        (
            '"{name}-dlq"',
            "7",
            "dead_letter: must be a pattern such as '{name}-dlq', a map of queues to theirs, or 'failed'",
        ),
        ("{redis: cache,", "{redis: cache, prefix: 7,", "prefix: must be a prefix or a list of them"),
        (
            "{redis: cache,",
            "{redis: cache, prefix: [a, b], names: ['a:mail', mail],",
            "'mail' has no prefix; with several prefixes write each queue with its own, as in 'bull:mail'",
        ),
        (
            '{redis: cache, dead_letter: "{name}-dlq"}',
            "{redis: cache, prefix: [a, b], dead_letter: {'a:mail': grave}}",
            "'grave' has no prefix; with several prefixes write each queue with its own, as in 'bull:mail'",
        ),
        (
            '{redis: cache, dead_letter: "{name}-dlq"}',
            "{redis: cache, prefix: [a, b], dead_letter: 'dlq-{name}'}",
            "with several prefixes dead_letter must start with {name}, as in '{name}-dlq'",
        ),
        (
            '/0"}',
            '/0", prefixes: {"rl:": {}}}',
            "prefixes: 'rl:' is not a key prefix; write it with one * at its end, as in 'rl:*'",
        ),
        ('/0"}', '/0", prefixes: {"*": {}}}', "prefixes: '*' is not a key prefix"),
        ('/0"}', '/0", prefixes: {"a*b*": {}}}', "prefixes: 'a*b*' is not a key prefix"),
        ('/0"}', '/0", prefixes: {"rl:*": {topp: 1}}}', "unknown key; did you mean 'top'?"),
        (
            "    redis:\n",
            "    commands: {c: {argv: [/bin/x], parameters: {n: {type: int, mix: 1}}}}\n    redis:\n",
            "inventory.yml:6: stacks.shop.commands.c.parameters.n.mix: unknown key; did you mean 'min'?",
        ),
    ],
)
def test_mistake_is_reported_with_its_place(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in GOOD
    lines = problems(tmp_path, GOOD.replace(old, new))
    assert len(lines) == 1
    assert expected in lines[0]
    assert "hunter2" not in lines[0]


@pytest.mark.parametrize(
    ("prefix", "keys"),
    [
        ("bull", {"mail": "bull:mail", "a:b": "bull:a:b"}),
        (["bull"], {"mail": "bull:mail"}),
        (["bull", "{eu}"], {"bull:mail": "bull:mail", "{eu}:a:b": "{eu}:a:b", "mail": None, "bullet:mail": None}),
    ],
)
def test_key_of_a_queue_starts_with_its_prefix(prefix, keys: dict[str, str | None]) -> None:
    target = QueueTarget(redis="main", prefix=prefix)
    assert {queue: target.key_of(queue) for queue in keys} == keys


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    lines = problems(tmp_path, GOOD.replace("dsn:", "dns:").replace("older_than", "older_then"))
    assert [line.split(": ")[0] for line in lines] == ["inventory.yml:5", "inventory.yml:15"]


def test_a_variable_replaces_one_value(tmp_path: Path) -> None:
    environ = {"RUNBOOK__STACKS__SHOP__POSTGRES__MAIN__DSN": "postgresql://other/shop"}
    inventory = load_inventory(write(tmp_path, GOOD), environ)
    assert inventory is not None
    assert inventory.stacks["shop"].postgres["main"].dsn_secret().read() == "postgresql://other/shop"
    assert inventory.stacks["shop"].redis["cache"].url_secret().read() == "redis://cache:6379/0"


def test_invalid_variable_is_named(tmp_path: Path) -> None:
    variable = "RUNBOOK__STACKS__SHOP__REMEDIATIONS__TERMINATE_IDLE_TRANSACTIONS__COOLDOWN"
    lines = problems(tmp_path, GOOD, **{variable: "soon"})
    assert lines[0].startswith(f"{variable}: stacks.shop.remediations.terminate_idle_transactions.cooldown: 'soon'")


def test_database_and_redis_urls_define_a_default_stack() -> None:
    environ = {
        "DATABASE_URL": "postgresql://app@db/shop?schema=public&connection_limit=5&sslmode=require",
        "REDIS_URL": "redis://cache:6379",
    }
    inventory = load_inventory(None, environ)
    assert inventory is not None
    stack = inventory.stacks["default"]
    address = read_postgres_address(stack.postgres["main"].dsn_secret().read())
    assert address.driver_url == "postgresql://app@db/shop?sslmode=require"
    assert address.dropped == ("connection_limit", "schema")
    assert stack.queues["main"].redis == "main"


def test_empty_environment_gives_no_inventory() -> None:
    assert load_inventory(None, {}) is None


def test_missing_file_is_reported_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match=r"absent\.yml: cannot read the file: No such file or directory"):
        load_inventory(tmp_path / "absent.yml", {})


def test_bare_off_is_read_as_the_mode(tmp_path: Path) -> None:
    inventory = load_inventory(write(tmp_path, GOOD.replace("mode: auto", "mode: off")), {})
    assert inventory is not None
    assert inventory.stacks["shop"].remediations["terminate_idle_transactions"].mode is Mode.OFF


@pytest.mark.parametrize(("content", "expected"), [(None, "cannot read"), ("", "is empty"), (b"\xff\xfe", "not UTF-8")])
def test_an_unreadable_secret_names_key_and_file(tmp_path: Path, content: str | bytes | None, expected: str) -> None:
    secret = tmp_path / "pg"
    if content is not None:
        secret.write_bytes(content if isinstance(content, bytes) else content.encode())
    text = GOOD.replace('dsn: "postgresql://metrics:hunter2@db/shop"', f"dsn_file: {secret}")
    inventory = load_inventory(write(tmp_path, text), {})
    assert inventory is not None
    with pytest.raises(SecretError, match=rf"^dsn_file: .*{secret}.*") as caught:
        inventory.stacks["shop"].postgres["main"].dsn_secret().read()
    assert expected in str(caught.value)


def test_default_mode_is_shadow(tmp_path: Path) -> None:
    inventory = load_inventory(write(tmp_path, GOOD.replace("mode: auto, ", "")), {})
    assert inventory is not None
    assert inventory.stacks["shop"].remediations["terminate_idle_transactions"].mode is Mode.SHADOW


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("max_items: 10", "max_share: 1.1", "max_share"),
        ("max_items: 10", "max_share: 0", "max_share"),
        ("max_items: 10", "batch: 0", "batch"),
        ("max_items: 10", "max_runs_per_hour: 0", "max_runs_per_hour"),
        ("alertmanager:", "limits: {concurrency: 0}\nalertmanager:", "limits.concurrency"),
        ("alertmanager:", "limits: {max_runs_per_hour: 0}\nalertmanager:", "limits.max_runs_per_hour"),
        ("    windows:", "    limits: {concurrency: 0}\n    windows:", "shop.limits.concurrency"),
        ("[sun],", "[sun], zone: Berlin,", "windows.maintenance.zone"),
        (
            "    windows:",
            "    freezes: {eve: {from: 2026-12-27T00:00:00Z, to: 2026-12-24T00:00:00Z}}\n    windows:",
            "freezes.eve: `to` must be after `from`",
        ),
    ],
)
def test_setting_that_disables_a_bound_is_refused(tmp_path: Path, old: str, new: str, key: str) -> None:
    """Invariant 20."""
    assert GOOD.count(old) == 1
    [problem] = problems(tmp_path, GOOD.replace(old, new))
    assert key in problem


def test_duration_without_a_unit_is_refused(tmp_path: Path) -> None:
    """Invariant 20."""
    text = GOOD.replace("older_than: 5m", "cooldown: 5.5")
    with pytest.raises(InventoryError, match="a duration needs a unit"):
        load_inventory(write(tmp_path, text), {})


WRONG_SHAPES = """\
alertmanager: http://here
operators: {a: {token_file: 7}}
contacts: [a]
stacks:
  a: [x]
  b: {limits: {max_runs_per_hour: 0, concurrency: many}, windows: {n: {days: mon, from: 2 am}}}
  c: {freezes: {n: {from: x, to: y}}, remediations: {x: {max_share: 2, max_items: 1.5, block_on: A}, y: auto}}
  d: {http: {x: {url: 5, status: 99}}, postgres: {m: {dsn: 5, statement_texts: maybe}}}
  e: {redis: {m: {url: x}}, queues: {q: {redis: m, names: all, prefix: ""}}}
"""


def test_wrong_shapes_are_described_in_words_of_the_inventory(tmp_path: Path) -> None:
    file = tmp_path / "inventory.yml"
    file.write_text(WRONG_SHAPES)
    with pytest.raises(InventoryError) as error:
        load_inventory(file, {})
    text = str(error.value)
    assert len(error.value.problems) == 21
    assert "contacts: must be a map of keys" in text
    assert "stacks.e.queues.q.names: must be a list of queues, or 'discover'" in text
    for foreign in ("Input", "String should", "Field", "dictionary", "tuple", "instance", "pathlib", "parse"):
        assert foreign not in text


def test_mistake_in_an_entry_of_a_list_has_the_line_of_the_entry(tmp_path: Path) -> None:
    text = GOOD.replace("days: [sun]", "days: [sun,\n        sunday]")
    found = problems(tmp_path, text)
    assert [each.split(": must")[0] for each in found] == ["inventory.yml:14: stacks.shop.windows.maintenance.days.1"]


def test_duplicate_key_within_a_list_is_refused(tmp_path: Path) -> None:
    text = GOOD + "contacts: [{a: 1,\n  a: 2}]\n"
    assert problems(tmp_path, text) == ["inventory.yml:17: contacts.0.a: duplicate key; keep one"]


def test_alias_of_a_block_within_itself_is_refused(tmp_path: Path) -> None:
    found = problems(tmp_path, "stacks: &all\n  shop: *all\n")
    assert found == ["inventory.yml:2: stacks.shop: holds itself by its alias; write it out"]


def change(key: str, value: object) -> Change:
    return Change(tuple(key.split(".")), value, "case.yml:7")


def test_change_replaces_one_value(tmp_path: Path) -> None:
    changes = [change("stacks.shop.remediations.terminate_idle_transactions.max_items", 3)]
    inventory = load_inventory(write(tmp_path, GOOD), {}, changes)
    assert inventory is not None
    assert inventory.stacks["shop"].remediations["terminate_idle_transactions"].max_items == 3
    assert inventory.stacks["shop"].remediations["terminate_idle_transactions"].mode is Mode.AUTO


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("stacks.shop.windows.maintenance.day", 1, "case.yml:7: stacks.shop.windows.maintenance.day: unknown key"),
        ("limits.max_runs_per_hour", "x", "case.yml:7: limits.max_runs_per_hour: must be a whole number"),
        ("alertmanager.url.x", 1, "case.yml:7: alertmanager.url.x: 'url' is a single value and has no keys"),
    ],
)
def test_mistake_in_a_change_has_the_place_of_the_change(
    tmp_path: Path, key: str, value: object, expected: str
) -> None:
    with pytest.raises(InventoryError, match=re.escape(expected)):
        load_inventory(write(tmp_path, GOOD), {}, [change(key, value)])
