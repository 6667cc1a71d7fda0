"""The demo's templates have all values, and give what the daemons and the rules expect."""

import stat
from pathlib import Path
from string import Template

import pytest
import yaml

from demo.configuration import DEPLOY, FILES, TEMPLATES, redis_acl, write_configuration
from demo.credentials import Credentials
from demo.incidents import INCIDENTS
from demo.paths import CHECKOUT, DemoPaths
from demo.ports import Ports
from remediator.remediations import REMEDIATIONS
from runbookd.inventory import load_inventory
from tests.starter import full_texts

PORTS = Ports(**{name: 20_000 + n for n, name in enumerate(Ports.model_fields)})


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DemoPaths:
    # Unit tests run without the fetched programs, which the tests of the servers cover.
    monkeypatch.setattr("demo.configuration.launcher", lambda name: Path("/tools") / name)
    paths = DemoPaths(tmp_path / "demo")
    paths.create()
    write_configuration(paths, PORTS)
    return paths


@pytest.mark.parametrize("name", FILES)
def test_every_placeholder_is_filled_in(places: DemoPaths, name: str) -> None:
    text = (places.config / name).read_text()
    assert not Template(text).get_identifiers()
    assert yaml.safe_load(text)


def test_inventory_allows_the_remediations_of_the_incidents(places: DemoPaths) -> None:
    inventory = load_inventory(places.config / "inventory.yml", {})
    assert inventory is not None
    allowed = inventory.stacks["shop"].remediations
    assert {incident.remediation for incident in INCIDENTS.values()} == set(allowed)
    modes = {name: "approve" if REMEDIATIONS[name].never_auto else "auto" for name in allowed}
    assert {name: settings.mode for name, settings in allowed.items()} == modes


def _decided_quantities(file: Path) -> set[str]:
    """Return the quantities with a threshold, or with a silence because there is none."""
    rules = [rule for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]
    not_judged = (":minimum", ":respond_within_seconds")  # no alert compares with them
    judged = [rule for rule in rules if not rule["record"].endswith(not_judged)]
    return {rule["labels"].get("quantity") or rule["record"].split(":")[1] for rule in judged}


def test_demo_and_example_decide_on_every_quantity_of_production(places: DemoPaths) -> None:
    production = set().union(
        *(_decided_quantities(file) for file in (CHECKOUT / "alert_rules" / "thresholds").glob("*.yml"))
    )
    add = "add its number, or a silence, to {}"
    assert _decided_quantities(places.config / "thresholds.yml") == production, add.format("demo/config/thresholds.yml")
    example = places.config / "starter.yml"
    example.write_text(full_texts(places.config)["thresholds.yml"], encoding="utf-8")
    template = "runbookctl/starter/templates/thresholds.yml"
    assert _decided_quantities(example) == production, add.format(template)


def test_every_incident_raises_an_alert_of_production() -> None:
    files = (CHECKOUT / "alert_rules").glob("*.yml")
    rules = [rule for file in files for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]
    remediation_of = {rule["alert"]: rule["labels"].get("remediation") for rule in rules if "alert" in rule}
    for incident in (each for each in INCIDENTS.values() if each.alert):
        assert remediation_of[incident.alert["alertname"]] == incident.remediation


def test_configuration_contains_no_secret_and_secret_files_are_private(places: DemoPaths) -> None:
    credentials = Credentials()
    credentials.save(places, PORTS)
    secrets = {*credentials.postgres.values(), *credentials.redis.values(), credentials.s3, credentials.webhook_token}
    for file in places.config.iterdir():
        assert not [secret for secret in secrets if secret in file.read_text()]
    for file in places.secrets.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name
    assert not [secret for secret in secrets if secret in repr(credentials)]


def test_redis_acl_contains_only_users() -> None:
    lines = redis_acl(Credentials()).splitlines()
    assert [line.split()[1] for line in lines] == ["default", "product", "metrics", "remediator"]
    assert TEMPLATES.joinpath("redis.acl").read_text().startswith("#")


def test_remediator_has_exactly_the_rights_of_production() -> None:
    *_, remediator = redis_acl(Credentials()).splitlines()
    queues, cache = ((DEPLOY / "redis" / f"remediator-{name}.acl").read_text().split() for name in ("queues", "cache"))
    own, selector = " ".join(rule for rule in remediator.split() if not rule.startswith(">")).split(" (")
    assert own.split() == queues
    # A selector begins without keys and channels.
    assert selector.removesuffix(")").split() == [rule for rule in cache[3:] if not rule.startswith("reset")]
