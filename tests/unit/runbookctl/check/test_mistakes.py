"""`runbookctl check` names each mistake with its repair, and calls nothing a mistake that fits."""

from pathlib import Path
from typing import Any

import pytest

from tests.rules.rulebook import ROOT
from tests.unit.runbookctl.check.checked_files import Change, change, check, second_route, stack_of


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
    change(folder / "inventory.yml", lambda d: stack_of(d).pop("http"))
    change(folder / "prometheus.yml", job)
    found = check(folder)[1]["findings"]
    assert sum("runbook:probe_success:critical" in each["problem"] for each in found) == findings


def _number(document: Any, quantity: str) -> Any:
    rules = [rule for group in document["groups"] for rule in group["rules"]]
    return next(rule for rule in rules if rule["record"].startswith(f"runbook:{quantity}:"))


def _again(number: Any) -> Any:
    return {**number, "labels": {**number["labels"], "section": "Another"}, "expr": 2}


def _set_window(document: Any) -> None:
    stack = stack_of(document)
    stack["windows"] = {"night": {"days": ["mon"], "from": "02:00", "to": "04:00"}}
    stack["freezes"] = {"rebuild": {"from": "2020-01-01T00:00:00Z", "to": "2099-01-01T00:00:00Z"}}
    stack["remediations"]["run_backup"]["only_in"] = "night"


FINDINGS: list[tuple[str, Change, str, str]] = [
    ("inventory.yml", lambda d: stack_of(d).pop("http"), "runbook:probe_success:critical: shop has no http", "delete"),
    ("inventory.yml", lambda d: stack_of(d)["queues"]["jobs"].pop("dead_letter"), "has no queues with dead_letter", ""),
    (
        "inventory.yml",
        lambda d: stack_of(d)["backups"]["nightly"].update(kind="files"),
        "shop has no backups of kind full",
        "add the target",
    ),
    ("inventory.yml", lambda d: d["stacks"].update(mail={}), "no threshold of stack mail is loaded", "init DIR"),
    (
        "inventory.yml",
        lambda d: stack_of(d)["postgres"]["main"].pop("admin_dsn_file"),
        "mode is shadow, but no postgres of the stack has admin_dsn_file",
        "add it",
    ),
    (
        "inventory.yml",
        lambda d: stack_of(d)["postgres"]["main"].update({"dsn": "postgresql://m:a/hunter2@db", "dsn_file": None}),
        "not an address",
        "write it as",
    ),
    (
        "inventory.yml",
        lambda d: stack_of(d)["remediations"]["retry_failed_jobs"].update(block_on=["DatabasDown"]),
        "no rule has an alert DatabasDown, so that it never counts; did you mean 'DatabaseDown'?",
        "correct the name",
    ),
    (
        "inventory.yml",
        lambda d: stack_of(d).update(
            escalation={"a": {"contacts": ["oncall"]}, "b": {"contacts": ["oncall"], "only_while": ["SiteDown"]}}
        ),
        "no rule has an alert SiteDown",
        "load its rule file",
    ),
    ("inventory.yml", lambda d: stack_of(d)["remediations"].update(run_bakcup={}), "no such remediation", "run_backup"),
    ("inventory.yml", _set_window, "the window night never opens in the next year", "correct windows"),
    (
        "inventory.yml",
        lambda d: stack_of(d).update(limits={"max_alert_age": "2m"}),
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
            and second_route(d)["routes"].pop(0)
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
