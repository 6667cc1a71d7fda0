"""`runbookctl check` names settings of different files that do not fit together."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from runbookctl.errors import WrongUsage
from runbookctl.main import app
from runbookd.service.version import VERSION
from tests.rules.own_configurations import CONFIGURATIONS, SNIPPET, with_remediator
from tests.rules.rulebook import ROOT
from tests.unit.runbookctl.check.checked_files import change, check, second_route, stack_of

HOOK = "https://hooks.example/hunter2"


def test_shipped_files_fit_together(folder: Path) -> None:
    code, answer = check(folder)
    assert (code, answer["findings"]) == (0, [])
    receivers = {alert["alert"]: alert["receivers"] for alert in answer["alerts"]}
    assert receivers["IdleInTransactionTooLong"] == ["remediator", "chat", "mail"]
    assert receivers["DatabaseDown"] == ["remediator", "chat", "pager"]
    assert "AnalyzeOverdue" not in receivers, "the stack has no number for it"
    assert "stacks.shop.postgres.main.dsn_file" in answer["notes"][0]


def test_rules_of_another_release_are_noted_with_the_command(folder: Path) -> None:
    old, gone = folder / "alert_rules/database.yml", folder / "alert_rules/adapters/gone.yml"
    old.write_text(f"{old.read_text()}# as it was before\n")
    gone.write_text("groups: []\n")
    (folder / "alert_rules/search.yml").unlink()
    notes = [note for note in check(folder)[1]["notes"] if "of runbookd" in note]
    assert notes == [
        f"{old} differs from that of runbookd {VERSION}; replace it: cp {ROOT}/alert_rules/database.yml {old}",
        f"{gone} is not a file of runbookd {VERSION}; delete it, unless you wrote it",
        f"{folder}/alert_rules lacks search.yml of runbookd {VERSION}; "
        f"add it: cp {ROOT}/alert_rules/search.yml {folder}/alert_rules/search.yml",
    ]
    assert check(folder)[1]["findings"] == []


def test_receiver_with_a_channel_besides_the_webhook_reaches_people(folder: Path) -> None:
    slack = [{"api_url": HOOK, "channel": "#ops"}]
    change(folder / "alertmanager.yml", lambda d: d["receivers"][0].update(slack_configs=slack))
    change(folder / "alertmanager.yml", lambda d: d["route"]["routes"][1].update(matchers=['remediation = ""']))
    assert check(folder)[1]["findings"] == []


def test_critical_alerts_that_people_hear_of_at_times_only_are_noted(folder: Path) -> None:
    office = [
        {"matchers": [f'alertname = "{name}"'], "receiver": "pager", "active_time_intervals": ["working hours"]}
        for name in ("DatabaseDown", "QueueFailedJobs")
    ]
    change(folder / "alertmanager.yml", lambda d: second_route(d).update(routes=office))
    [note] = [note for note in check(folder)[1]["notes"] if "nobody hears" in note]
    assert "nobody hears of DatabaseDown outside the time intervals of their routes (working hours)" in note


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_usual_configuration_with_the_remediator_loses_no_alert(folder: Path, name: str) -> None:
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(with_remediator(CONFIGURATIONS[name])))
    assert check(folder)[1]["findings"] == []
    document = with_remediator(CONFIGURATIONS[name])
    document["route"] = {**document["route"]["routes"][1], "routes": [document["route"]["routes"][0]]}
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(document))
    [finding] = check(folder)[1]["findings"]
    assert finding["problem"].startswith("13 alerts reach the remediator only (shop: ")


@pytest.mark.parametrize("runbook", ["clientforge", "deelrx", "formula_pm", "life_platform", "pmcrm"])
def test_set_of_each_runbook_fits_together(tmp_path: Path, runbook: str) -> None:
    CliRunner().invoke(app, ["init", str(tmp_path / "set"), "--runbook", runbook], catch_exceptions=False)
    code, answer = check(tmp_path / "set")
    assert (code, answer["findings"]) == (0, [])
    reached = {receiver for alert in answer["alerts"] for receiver in alert["receivers"]}
    receivers = yaml.safe_load((tmp_path / "set" / "alertmanager.yml").read_text())["receivers"]
    assert reached == {each["name"] for each in receivers}


def test_inventory_without_a_stack_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "inventory.yml").write_text("")
    result = CliRunner().invoke(app, ["check", f"--config.file={tmp_path / 'inventory.yml'}"], catch_exceptions=False)
    assert result.exit_code == 1
    assert "no stack is listed: nothing is measured" in result.stdout


def test_secrets_of_alertmanagers_file_are_not_shown(folder: Path) -> None:
    change(folder / "alertmanager.yml", lambda d: d["receivers"][2].update(slack_configs=[{"api_url": HOOK}]))
    check(folder)
    (folder / "alertmanager.yml").write_text("receivers: [hunter2\n")
    with pytest.raises(WrongUsage, match=r"alertmanager\.yml:2 is not valid YAML; correct it") as refusal:
        check(folder)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("text", ["", "[a]", "receivers: []", "route: {matchers: [nonsense]}"])
def test_file_that_is_no_configuration_is_wrong_usage(folder: Path, text: str) -> None:
    (folder / "alertmanager.yml").write_text(text)
    with pytest.raises(WrongUsage, match=r"alertmanager\.yml"):
        check(folder)
    (folder / "alertmanager.yml").unlink()
    with pytest.raises(WrongUsage, match=r"cannot read .*: No such file"):
        check(folder)


def test_text_names_receivers_then_findings(folder: Path) -> None:
    change(folder / "inventory.yml", lambda d: stack_of(d).pop("http"))
    arguments = [f"--config.file={folder / 'inventory.yml'}", f"--prometheus={folder / 'prometheus.yml'}"]
    result = CliRunner().invoke(app, ["check", *arguments, f"--alertmanager={SNIPPET}"], catch_exceptions=False)
    assert result.exit_code == 1
    assert "shop → remediator, chat, mail: IdleInTransactionTooLong, LongRunningQuery, QueueFailedJobs" in result.stdout
    lines = (folder / "thresholds.yml").read_text().splitlines()
    line = 1 + next(at for at, text in enumerate(lines) if "runbook:probe_success:critical" in text)
    assert f"- {folder}/thresholds.yml:{line}: runbook:probe_success:critical: shop has no http in the inventory" in (
        result.stdout
    )
    assert result.stdout.endswith("1 finding\n")
    alone = CliRunner().invoke(app, ["check", arguments[0]], catch_exceptions=False)
    assert alone.exit_code == 0
    assert "no findings" in alone.stdout
