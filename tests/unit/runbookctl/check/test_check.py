"""`runbookctl check` names settings of different files that do not fit together."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from runbookctl.errors import WrongUsage
from runbookctl.main import app
from runbookctl.starter.files import write_set
from runbookd.service.version import VERSION
from tests.rules.own_configurations import CONFIGURATIONS, SNIPPET, with_remediator
from tests.rules.rulebook import ROOT
from tests.starter import STARTER, full_texts

Change = Callable[[Any], object]
ADDRESSES = {"dsn": "postgresql://m:hunter2@db/shop", "admin_dsn": "postgresql://r:hunter2@db/shop"}
HOOK = "https://hooks.example/hunter2"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the files of `init` and deploy/, which fit together."""
    folder = tmp_path_factory.mktemp("written") / "shop"
    write_set(folder, STARTER)
    for name, text in full_texts(Path("/etc/runbookd")).items():
        (folder / name).write_text(text)
    shutil.copy(ROOT / "deploy" / "alertmanager.yml", folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path, written: Path) -> Path:
    """Return a copy of the folder, which the test may change."""
    return Path(shutil.copytree(written, tmp_path / "shop"))


def check(folder: Path, *more: str) -> tuple[int, dict[str, Any]]:
    arguments = [f"--{name.partition('.')[0]}={folder / name}" for name in ("alertmanager.yml", "prometheus.yml")]
    inventory = f"--config.file={folder / 'inventory.yml'}"
    result = CliRunner().invoke(app, ["check", inventory, *arguments, "-o", "json", *more], catch_exceptions=False)
    answer: dict[str, Any] = json.loads(result.stdout)
    assert "hunter2" not in result.stdout
    return result.exit_code, answer


def change(file: Path, edit: Change) -> None:
    document = yaml.safe_load(file.read_text())
    edit(document)
    file.write_text(yaml.safe_dump(document, sort_keys=False))


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


def _blackbox_job(**more: object) -> Change:
    return lambda document: document["scrape_configs"].append(
        {"job_name": "blackbox", "metrics_path": "/probe", **more}
    )


@pytest.mark.parametrize(
    ("job", "findings"),
    [
        (_blackbox_job(static_configs=[{"targets": ["mail:25"], "labels": {"stack": "shop", "target": "mail"}}]), 0),
        (_blackbox_job(file_sd_configs=[{"files": ["probes.yml"]}]), 0),
        (_blackbox_job(static_configs=[{"targets": ["mail:25"], "labels": {"stack": "post"}}, {}]), 1),
    ],
)
def test_number_of_probes_is_compared_where_blackbox_exporter_may_probe(
    folder: Path, job: Change, findings: int
) -> None:
    change(folder / "inventory.yml", lambda d: _stack(d).pop("http"))
    change(folder / "prometheus.yml", job)
    found = check(folder)[1]["findings"]
    assert sum("runbook:probe_success:critical" in each["problem"] for each in found) == findings


def _stack(document: Any) -> Any:
    return document["stacks"]["shop"]


def _number(document: Any, quantity: str) -> Any:
    rules = [rule for group in document["groups"] for rule in group["rules"]]
    return next(rule for rule in rules if rule["record"].startswith(f"runbook:{quantity}:"))


def _again(number: Any) -> Any:
    return {**number, "labels": {**number["labels"], "section": "Another"}, "expr": 2}


def _second(document: Any) -> Any:
    return document["route"]["routes"][1]


def _set_window(document: Any) -> None:
    stack = _stack(document)
    stack["windows"] = {"night": {"days": ["mon"], "from": "02:00", "to": "04:00"}}
    stack["freezes"] = {"rebuild": {"from": "2020-01-01T00:00:00Z", "to": "2099-01-01T00:00:00Z"}}
    stack["remediations"]["run_backup"]["only_in"] = "night"


FINDINGS: list[tuple[str, Change, str, str]] = [
    ("inventory.yml", lambda d: _stack(d).pop("http"), "runbook:probe_success:critical: shop has no http", "delete"),
    ("inventory.yml", lambda d: _stack(d)["queues"]["jobs"].pop("dead_letter"), "has no queues with dead_letter", ""),
    (
        "inventory.yml",
        lambda d: _stack(d)["backups"]["nightly"].update(kind="files"),
        "shop has no backups of kind full",
        "add the target",
    ),
    ("inventory.yml", lambda d: d["stacks"].update(mail={}), "no threshold of stack mail is loaded", "init DIR"),
    (
        "inventory.yml",
        lambda d: _stack(d)["postgres"]["main"].pop("admin_dsn_file"),
        "mode is shadow, but no postgres of the stack has admin_dsn_file",
        "add it",
    ),
    (
        "inventory.yml",
        lambda d: _stack(d)["postgres"]["main"].update({"dsn": "postgresql://m:a/hunter2@db", "dsn_file": None}),
        "not an address",
        "write it as",
    ),
    (
        "inventory.yml",
        lambda d: _stack(d)["remediations"]["retry_failed_jobs"].update(block_on=["DatabasDown"]),
        "no rule has an alert DatabasDown, so that it never counts; did you mean 'DatabaseDown'?",
        "correct the name",
    ),
    (
        "inventory.yml",
        lambda d: _stack(d).update(
            escalation={"a": {"contacts": ["oncall"]}, "b": {"contacts": ["oncall"], "only_while": ["SiteDown"]}}
        ),
        "no rule has an alert SiteDown",
        "load its rule file",
    ),
    ("inventory.yml", lambda d: _stack(d)["remediations"].update(run_bakcup={}), "no such remediation", "run_backup"),
    ("inventory.yml", _set_window, "the window night never opens in the next year", "correct windows"),
    (
        "inventory.yml",
        lambda d: _stack(d).update(limits={"max_alert_age": "2m"}),
        "max_alert_age 2m is below repeat_interval 5m",
        "raise max_alert_age",
    ),
    (
        "inventory.yml",
        lambda d: d["contacts"].update(oncall={"url": "pagerduty://hunter2@hunter2"}),
        "one problem pages twice: by receiver pager and by contact oncall in the ladder of shop",
        "let one of them page",
    ),
    (
        "alertmanager.yml",
        lambda d: d["route"]["routes"].pop(1),
        "reach the remediator only (shop: ",
        "add a route without matchers behind the remediator's",
    ),
    (
        "alertmanager.yml",
        lambda d: (
            next(each for each in d["receivers"] if each["name"] == "mail").pop("email_configs")
            and _second(d)["routes"].pop(0)
        ),
        "reach nobody (shop: ",
        "give mail a channel",
    ),
    ("alertmanager.yml", lambda d: d["route"]["routes"].pop(0), "so that run_backup never starts", "first one"),
    (
        "alertmanager.yml",
        lambda d: d["route"]["routes"][0].update(group_by=["team"]),
        "the remediator's route groups alerts by team",
        "set group_by: ['...']",
    ),
    (
        "alertmanager.yml",
        lambda d: d["route"]["routes"][0].update(mute_time_intervals=["working hours"]),
        "has time intervals (working hours)",
        "windows, freezes and modes",
    ),
    (
        "alertmanager.yml",
        lambda d: d["route"]["routes"][0].update(repeat_interval="1h"),
        "has repeat_interval 1h, the inventory's alertmanager.repeat_interval is 5m",
        "the same",
    ),
    (
        "alertmanager.yml",
        lambda d: d["route"]["routes"][0].update(repeat_interval="1h"),
        "above max_alert_age 10m",
        "lower repeat_interval",
    ),
    (
        "alertmanager.yml",
        lambda d: d["receivers"][0]["webhook_configs"][0].update(send_resolved=False),
        "the remediator never learns of an end",
        "send_resolved: true",
    ),
    (
        "alertmanager.yml",
        lambda d: d["inhibit_rules"].append({"source_matchers": ["a = b"], "target_matchers": ["severity = warning"]}),
        "inhibit rule can keep IdleInTransactionTooLong, LongRunningQuery, QueueFailedJobs, QueueDLQJobsPresent",
        "target_matchers",
    ),
    (
        "alertmanager.yml",
        lambda d: d["route"]["routes"][0]["matchers"].append('remediation != "collect_diagnostics"'),
        "DatabaseDown, ",
        "as the first one",
    ),
    (
        "alertmanager.yml",
        lambda d: d["route"]["routes"][0].update(group_wait="5m"),
        "has group_wait 5m, and an alert reaches the remediator so much later",
        "group_wait: 0s",
    ),
    (
        "alertmanager.yml",
        lambda d: d["route"]["routes"][0].pop("group_interval"),
        "has group_interval 5m, and the end of an alert reaches",
        "group_interval: 1m",
    ),
    (
        "alertmanager.yml",
        lambda d: d["receivers"][0]["webhook_configs"][0].update(url="http://127.0.0.1:9851/"),
        "receiver remediator does not send to /webhook",
        "9851/webhook",
    ),
    ("prometheus.yml", lambda d: d.pop("alerting"), "it names no Alertmanager", "add alerting.alertmanagers"),
    ("prometheus.yml", lambda d: d["scrape_configs"][1].pop("honor_labels"), "has no honor_labels", "add honor"),
    ("prometheus.yml", lambda d: d["rule_files"].pop(0), "no alert is loaded", "copy alert_rules/"),
    (
        "prometheus.yml",
        lambda d: d["rule_files"].append(str(ROOT / "alert_rules/thresholds/deelrx.yml")),
        "thresholds are of stack deelrx, which the inventory does not have",
        "your own stacks only",
    ),
    (
        "prometheus.yml",
        lambda d: d["scrape_configs"][1].update(job_name="remediator"),
        "no scrape job is called runbook_remediator, so that RemediatorDown never fires",
        "name the job",
    ),
    (
        "prometheus.yml",
        lambda d: d["scrape_configs"].append({"job_name": "node-api", "static_configs": [{"targets": ["a:3000"]}]}),
        "the job node-api counts as an exporter by its name, so that ProcessDown does not watch its targets",
        "rename it, such as app_node-api",
    ),
    (
        "prometheus.yml",
        lambda d: d["global"].update(scrape_interval="5m"),
        "scrape_interval is 5m: rates",
        "at most 2m",
    ),
    (
        "prometheus.yml",
        lambda d: d["scrape_configs"][0].update(scrape_interval="2m30s"),
        "scrape_interval is 2m30s: rates",
        "at most 2m",
    ),
    ("prometheus.yml", lambda d: d["global"].update(evaluation_interval="1h"), "fire and end late", "at most 2m"),
    (
        "thresholds.yml",
        lambda d: _number(d, "pg_query_max_age_seconds").update(record="runbook:pg_query_max_age_seconds:info"),
        "no alert compares runbook:pg_query_max_age_seconds:info, so that it has no effect; did you mean "
        "'runbook:pg_query_max_age_seconds:warning'?",
        "correct its name",
    ),
    (
        "thresholds.yml",
        lambda d: _number(d, "probe_success").update(record="runbook:probe_sucess:critical"),
        "shop has no number for probe_success: no alert judges that, and ThresholdMissing fires",
        "runbook:silent",
    ),
    (
        "thresholds.yml",
        lambda d: _number(d, "backup_age_seconds")["labels"].update(kind="base"),
        "shop has no number for backup_age_seconds of full backups",
        "runbook:silent",
    ),
    (
        "thresholds.yml",
        lambda d: _number(d, "backup_age_seconds")["labels"].pop("kind"),
        "runbook:backup_age_seconds:critical has no label kind",
        "kind: full",
    ),
    (
        "thresholds.yml",
        lambda d: d["groups"].append({"name": "again", "rules": [_again(_number(d, "pg_up"))]}),
        "runbook:pg_up:critical of shop stand in",
        "delete one of both",
    ),
    (
        "thresholds.yml",
        lambda d: _number(d, "pg_connections_used_ratio").update(expr=80),
        "runbook:pg_connections_used_ratio:warning is 80, and the whole is 1",
        "0.8 for 80 %",
    ),
    (
        "thresholds.yml",
        lambda d: _number(d, "pg_up")["labels"].update(priority="p0"),
        "has priority p0, which no route and no ladder knows",
        "P0, P1, P2, P3",
    ),
]


@pytest.mark.parametrize(("file", "edit", "problem", "repair"), FINDINGS, ids=[entry[2] for entry in FINDINGS])
def test_each_mistake_is_named_with_its_repair(
    folder: Path, file: str, edit: Change, problem: str, repair: str
) -> None:
    change(folder / file, edit)
    code, answer = check(folder)
    assert code == 1
    found = [each for each in answer["findings"] if problem in each["problem"]]
    assert found, answer["findings"]
    assert repair in found[0]["repair"]
    assert found[0]["place"]


def _add_numbers_that_fit(document: Any) -> None:
    rules = document["groups"][0]["rules"]
    rise = {"record": "runbook:application_request_rise_ratio:info", "labels": {"stack": "shop"}, "expr": 3}
    cpu = {"record": "runbook:host_cpu_used_ratio:warning", "labels": {"stack": "shop"}, "expr": 0.95}
    rules += [rise, cpu, {**cpu, "labels": {"stack": "shop", "sustained": "30m"}, "expr": 0.8}]


def _name_jobs_by_relabeling(document: Any) -> None:
    document["scrape_configs"][1]["job_name"] = "pods"
    document["scrape_configs"][1]["relabel_configs"] = [{"source_labels": ["__meta_app"], "target_label": "job"}]


def _add_exporters(document: Any) -> None:
    named = {"node_shop": "a:9100", "redis-exporter": "a:1234", "node": "b:1234", "api": "a:3000"}
    for name, target in named.items():
        document["scrape_configs"].append({"job_name": name, "static_configs": [{"targets": [target]}]})


@pytest.mark.parametrize(
    ("file", "edit"),
    [
        ("thresholds.yml", _add_numbers_that_fit),
        ("prometheus.yml", _name_jobs_by_relabeling),
        ("prometheus.yml", _add_exporters),
    ],
    ids=["numbers", "jobs", "exporters"],
)
def test_odd_settings_that_fit_are_no_finding(folder: Path, file: str, edit: Change) -> None:
    change(folder / file, edit)
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
    change(folder / "alertmanager.yml", lambda d: _second(d).update(routes=office))
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
    change(folder / "inventory.yml", lambda d: _stack(d).pop("http"))
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
