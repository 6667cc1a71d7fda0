"""`init`: the folder of a new installation, also with the set of a runbook."""

import base64
import hmac
import re
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from runbookctl.errors import InitError
from runbookctl.main import app
from runbookctl.starter import shipped
from runbookctl.starter.postgres_roles import PostgresPlace, scram_verifier
from runbookctl.starter.redis_users import RedisPlace
from runbookd.inventory import Inventory, load_inventory

CHECKOUT = shipped.CHECKOUT
PACKAGES = ("runbookd", "exporter", "remediator", "runbookctl")
SERVERS = ("--postgres", "db.example:5433/shop_live", "--redis", "cache.example:6380/2")


def init(folder: Path, *options: str) -> str:
    result = CliRunner().invoke(app, ["init", str(folder), *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def loaded(folder: Path) -> Inventory:
    inventory = load_inventory(folder / "inventory.yml", {})
    assert inventory is not None
    return inventory


def read(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(file.read_text())
    return content


def texts(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir() if file.is_file()}


def test_folder_has_the_secrets_that_its_inventory_names(tmp_path: Path) -> None:
    init(tmp_path / "new", *SERVERS)
    stack = loaded(tmp_path / "new").stacks["shop"]
    secrets = {
        secret.read().partition("://")[2].partition(":")[0] + "@" + secret.read().partition("@")[2]
        for target in (stack.postgres["main"],)
        for secret in (target.dsn_secret(), target.admin_dsn_secret())
    }
    assert secrets == {"metrics@db.example:5433/shop_live", "remediator@db.example:5433/shop_live"}
    assert (tmp_path / "new/secrets/redis_metrics").read_text().endswith("@cache.example:6380/2\n")
    for name in ("webhook_token", "oncall_token"):
        assert len((tmp_path / "new/secrets" / name).read_text().strip()) == 48


def test_only_the_user_reads_the_secrets(tmp_path: Path) -> None:
    init(tmp_path / "new", *SERVERS)
    folder = tmp_path / "new" / "secrets"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}


def test_no_password_is_in_what_is_printed_or_sent_to_a_server(tmp_path: Path) -> None:
    printed = init(tmp_path / "new", *SERVERS)
    folder = tmp_path / "new" / "secrets"
    sent = (folder / "postgres_roles.sql").read_text() + (folder / "redis_users").read_text()
    for name in ("pg_metrics", "pg_remediator", "redis_metrics", "redis_remediator"):
        password = (folder / name).read_text().partition("@")[0].rpartition(":")[2]
        assert len(password) == 48
        assert password not in printed + sent


def test_two_installations_share_no_secret(tmp_path: Path) -> None:
    init(tmp_path / "one", *SERVERS)
    init(tmp_path / "two", *SERVERS)
    files = [{file.read_text() for file in (tmp_path / name / "secrets").iterdir()} for name in ("one", "two")]
    assert not files[0] & files[1]


@pytest.mark.parametrize("option", [SERVERS[:2], SERVERS[2:]])
def test_stack_without_one_of_the_servers_is_complete(tmp_path: Path, option: tuple[str, str]) -> None:
    init(tmp_path / "new", *option)
    stack = loaded(tmp_path / "new").stacks["shop"]
    has_postgres = option[0] == "--postgres"
    assert (bool(stack.postgres), bool(stack.redis), bool(stack.queues)) == (has_postgres, *(not has_postgres,) * 2)
    folder = str(tmp_path / "new")
    arguments = ["check", f"--config.file={folder}/inventory.yml", f"--prometheus={folder}/prometheus.yml"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert ("postgres_roles.sql" in texts(tmp_path / "new")["README.md"]) is has_postgres


def test_check_finds_only_that_nobody_hears_of_the_alerts(tmp_path: Path) -> None:
    init(tmp_path / "new", "--stack", "my_shop")
    others = [f"--{name}={tmp_path}/new/{name}.yml" for name in ("prometheus", "alertmanager")]
    result = CliRunner().invoke(app, ["check", f"--config.file={tmp_path}/new/inventory.yml", *others])
    assert "2 findings" in result.output
    assert "alerts reach nobody (my_shop" in result.output
    assert "alerts reach the remediator only (my_shop" in result.output


def test_rules_boards_and_grants_are_those_of_the_checkout(tmp_path: Path) -> None:
    init(tmp_path / "new")
    for written, source in (
        ("alert_rules/database.yml", "alert_rules/database.yml"),
        ("alert_rules/adapters/node_exporter.yml", "alert_rules/adapters/node_exporter.yml"),
        ("grafana/dashboards/stack.json", "grafana/dashboards/stack.json"),
        ("deploy/postgres/exporter.sql", "deploy/postgres/exporter.sql"),
    ):
        assert (tmp_path / "new" / written).read_text() == (CHECKOUT / source).read_text()
    assert not (tmp_path / "new/alert_rules/thresholds").exists()


def test_rules_for_the_operator_are_those_of_prometheus(tmp_path: Path) -> None:
    """The fields are those of the definition of the operator as it is known here: no operator could run."""
    init(tmp_path / "new")
    rules = list(yaml.safe_load_all((tmp_path / "new/deploy/kubernetes/operator/rules.yml").read_text()))
    assert {(each["apiVersion"], each["kind"]) for each in rules} == {("monitoring.coreos.com/v1", "PrometheusRule")}
    names = [each["metadata"]["name"] for each in rules]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name) for name in names)
    groups = [group for each in rules for group in each["spec"]["groups"]]
    assert set().union(*groups) <= {"name", "interval", "rules", "limit", "labels", "query_offset"}
    entries = [rule for group in groups for rule in group["rules"]]
    assert set().union(*entries) <= {"alert", "record", "expr", "for", "keep_firing_for", "labels", "annotations"}
    assert all(("alert" in rule) != ("record" in rule) for rule in entries)
    files = [file for part in ("*.yml", "adapters/*.yml") for file in (tmp_path / "new/alert_rules").glob(part)]
    loaded = [read(file)["groups"] for file in [*files, tmp_path / "new/thresholds.yml"]]
    assert sorted(map(str, groups)) == sorted(str(group) for each in loaded for group in each)


def test_set_of_a_runbook_carries_the_name_of_the_stack_everywhere(tmp_path: Path) -> None:
    init(tmp_path / "new", "--runbook", "clientforge", "--stack", "my_crm")
    files = texts(tmp_path / "new")
    own = {"inventory.yml", "policy_tests.yml", "thresholds.yml", "prometheus.yml", "alertmanager.yml", "README.md"}
    assert set(files) == own
    assert not [name for name, text in files.items() if "clientforge" in text]
    assert not [name for name, text in files.items() if "/etc/runbookd" in text]
    assert "  - thresholds.yml\n" in files["prometheus.yml"]
    number = read(CHECKOUT / "alert_rules" / "thresholds" / "clientforge.yml")["groups"]
    written = read(tmp_path / "new" / "thresholds.yml")["groups"]
    assert str(number).replace("clientforge", "my_crm") == str(written)


def test_modes_of_a_set_are_shadow_unless_the_runbooks_are_asked_for(tmp_path: Path) -> None:
    init(tmp_path / "shadow", "--runbook", "pmcrm")
    init(tmp_path / "runbook", "--runbook", "pmcrm", "--modes", "runbook")
    modes = {}
    for name in ("shadow", "runbook"):
        stack = yaml.safe_load((tmp_path / name / "inventory.yml").read_text())["stacks"]["pmcrm"]
        modes[name] = {remediation: settings["mode"] for remediation, settings in stack["remediations"].items()}
    assert set(modes["shadow"].values()) == {"shadow"}
    assert modes["runbook"] == {
        "terminate_idle_transactions": "auto",
        "retry_failed_jobs": "approve",
        "run_backup": "approve",
        "restart_service": "auto",
        "run_command": "approve",
        "cancel_long_queries": "approve",
        "vacuum_tables": "auto",
        "prune_files": "approve",
        "unlink_prefix": "approve",
        "reset_rate_limit": "approve",
        "block_address": "approve",
    }


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--modes", "runbook"), "add --runbook NAME"),
        (("--stack", "My-Shop"), "--stack 'My-Shop' is not a valid name: use lower-case"),
        (("--postgres", "db:99999/x"), "--postgres: write it as HOST:PORT/DATABASE"),
        (("--redis", "cache:0"), "--redis: write it as HOST:PORT"),
        (("--alertmanager", "http://am:9093"), "--alertmanager: write it as HOST:PORT"),
        (("--alertmanager", "am:0"), "--alertmanager: write it as HOST:PORT"),
        (("--postgres", "postgresql://u:hunter2@db/x"), "--postgres: write it as HOST:PORT/DATABASE"),
        (("--stack", "My Shop"), "--stack 'My Shop' is not a valid name"),
        (("--redis", "redis://:hunter2@cache"), "--redis: write it as HOST:PORT"),
    ],
)
def test_bad_option_is_refused_and_nothing_is_written(tmp_path: Path, options: tuple[str, ...], reason: str) -> None:
    with pytest.raises(InitError, match=reason) as refusal:
        init(tmp_path / "new", *options)
    assert "hunter2" not in str(refusal.value)
    assert not (tmp_path / "new").exists()


def test_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("mine")
    with pytest.raises(InitError, match="is not empty; choose a new folder"):
        init(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["kept"]


def test_folder_whose_path_breaks_a_command_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InitError, match="choose a folder whose path has only letters"):
        init(tmp_path / "my shop")


def test_installation_without_the_files_says_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "CHECKOUT", tmp_path)
    monkeypatch.setattr(shipped, "_installed", tuple)
    with pytest.raises(InitError, match="this installation has no deploy/runbooks; install runbookd again"):
        init(tmp_path / "new", "--runbook", "pmcrm")


def test_verifier_is_that_of_the_standard() -> None:
    """The example of RFC 7677, section 3: its server signature is made with our server key."""
    salt, nonce = "W22ZaJ0SNY7soEsUEjb6gQ==", "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    verifier = scram_verifier("pencil", base64.b64decode(salt))
    server_key = base64.b64decode(verifier.rpartition(":")[2])
    message = f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s={salt},i=4096,c=biws,r={nonce}"
    signature = base64.b64encode(hmac.digest(server_key, message.encode(), "sha256")).decode()
    assert signature == "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    assert verifier.startswith(f"SCRAM-SHA-256$4096:{salt}$")


@pytest.mark.parametrize(
    ("options", "commands"),
    [
        (
            ("--postgres", "127.0.0.1:5432/a", "--redis", "127.0.0.1:6379"),
            ("sudo -u postgres psql -q <", "redis-cli <"),
        ),
        (
            ("--postgres", "localhost:25432/a", "--redis", "localhost:26379"),
            ("psql -q -p 25432 <", "redis-cli -p 26379 <"),
        ),
        (SERVERS, ("psql -q -h db.example -p 5433 -U postgres <", "redis-cli -h cache.example -p 6380 <")),
    ],
)
def test_printed_commands_reach_the_named_servers(
    tmp_path: Path, options: tuple[str, ...], commands: tuple[str, str]
) -> None:
    printed = init(tmp_path / "new", *options)
    assert [command for command in commands if command not in printed] == []


@pytest.mark.parametrize("options", [(), ("--runbook", "pmcrm")])
def test_alertmanager_is_the_named_one_in_every_file(tmp_path: Path, options: tuple[str, ...]) -> None:
    init(tmp_path / "new", "--alertmanager", "alerts.example:9999", *options)
    settings = loaded(tmp_path / "new").alertmanager
    assert settings is not None
    assert settings.url_secret().read() == "http://alerts.example:9999"
    alerting = read(tmp_path / "new/prometheus.yml")["alerting"]
    assert alerting == {"alertmanagers": [{"static_configs": [{"targets": ["alerts.example:9999"]}]}]}
    assert not [name for name, text in texts(tmp_path / "new").items() if "127.0.0.1:9093" in text]


def test_places_are_parsed() -> None:
    assert PostgresPlace.parse("127.0.0.1:5432/shop") == PostgresPlace("127.0.0.1", 5432, "shop")
    assert RedisPlace.parse("cache:6379") == RedisPlace("cache", 6379, 0)
    assert RedisPlace.parse("cache:6379/3") == RedisPlace("cache", 6379, 3)


CITED = re.compile(r"(?<![\w/.-])(?:docs|deploy|grafana)/[\w./-]+\.(?:md|yml|sql|acl|rules|service|json)\b")


def test_every_page_and_file_that_messages_and_files_name_is_in_the_folder(tmp_path: Path) -> None:
    init(tmp_path / "new")
    own = [file for file in (tmp_path / "new").rglob("*") if file.is_file() and "docs" not in file.parts]
    code = [file for package in PACKAGES for file in (CHECKOUT / package).rglob("*.py")]
    cited = {(name, file.name) for file in (*own, *code) for name in CITED.findall(file.read_text(encoding="utf-8"))}
    assert "docs/how-to/run-as-services.md" in {name for name, _ in cited}
    assert sorted(f"{by}: {name}" for name, by in cited if not (tmp_path / "new" / name).exists()) == []
