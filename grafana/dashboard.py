"""The frame that all our boards share: variables, annotations and links."""

from collections.abc import Sequence

from grafana.panels import DATASOURCE, SCHEMA_VERSION, Json, place_panels

RUNS = Json(
    name="Ends of runs",
    # The value is the time itself, in milliseconds: one exact marker per run, independent of the scrape interval.
    expr="max by (stack, remediation, target, outcome)"
    ' (remediation_last_run_timestamp_seconds{stack=~"$stack"}) * 1000',
    useValueForTime=True,
    titleFormat="{{remediation}} {{outcome}}",
    textFormat="{{stack}} {{target}}",
    tagKeys="stack,remediation,outcome",
    iconColor="purple",
)
ACTING = Json(
    name="Runs",
    # Consecutive points merge into one region: from the admission of a run to its end.
    expr='max by (stack, remediation, target) (remediation_run_active{stack=~"$stack",state!="awaiting_approval"})',
    step="15s",
    useValueForTime=False,
    titleFormat="{{remediation}}",
    textFormat="{{stack}} {{target}}: under way",
    tagKeys="stack,remediation",
    iconColor="purple",
)
DEPLOYS = Json(
    name="Deploys",
    expr='max by (stack, version) (stack_last_deploy_timestamp_seconds{stack=~"$stack"}) * 1000',
    useValueForTime=True,
    titleFormat="deploy {{version}}",
    textFormat="{{stack}}",
    tagKeys="stack,version",
    iconColor="blue",
)
FIRING = Json(
    name="Firing alerts",
    expr='ALERTS{alertstate="firing", stack=~"$stack"}',
    step="15s",
    useValueForTime=False,
    titleFormat="{{alertname}}",
    textFormat="{{stack}} {{target}} {{queue}}",
    tagKeys="stack,alertname,severity",
    iconColor="red",
)

TARGETS = Json(name="target", label="Target")
QUEUES = Json(name="queue", label="Queue", series='bullmq_queue_jobs{stack=~"$stack"}', of="queue")
DATABASES = Json(name="database", label="Database", series='pg_connections{stack=~"$stack"}', of="datname")


def board(uid: str, title: str, description: str, panels: Sequence[Json], variables: Sequence[Json] = ()) -> Json:
    """Return a dashboard that is read-only in the browser, because it is generated from these sources."""
    return {
        "uid": uid,
        "id": None,
        "title": f"runbookd: {title}",
        "description": description,
        "tags": ["runbookd"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "utc",
        "templating": {"list": [_datasource(), _stack(), *(_chained(**each) for each in variables)]},
        "annotations": {"list": [_annotation(each) for each in (DEPLOYS, ACTING, RUNS, FIRING)]},
        "links": [_tag_link()],
        "panels": place_panels(panels),
    }


def targets_of(metric: str) -> Json:
    """Return the variable of the targets that have this metric."""
    return {**TARGETS, "series": f'{metric}{{stack=~"$stack"}}', "of": "target"}


def _datasource() -> Json:
    return {
        "name": "datasource",
        "label": "Data Source",
        "type": "datasource",
        "query": "prometheus",
        "refresh": 1,
        "hide": 0,
    }


def _stack() -> Json:
    """Return the variable of all stacks, which has at least one: the exporter names them."""
    return _values("stack", "Stack", "stack_info", "stack", ".+")


def _chained(name: str, label: str, series: str, of: str) -> Json:
    """Return a variable of values in the chosen stacks; All includes series without the label."""
    return _values(name, label, series, of, ".*")


def _values(name: str, label: str, series: str, of: str, everything: str) -> Json:
    """Return a variable; Grafana refreshes it with the time range, because its values come and go."""
    values = f"label_values({series}, {of})"
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "definition": values,
        "query": {"query": values, "refId": name},
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": everything,
        "current": {"text": ["All"], "value": ["$__all"]},
        "sort": 1,
        "hide": 0,
    }


def _annotation(settings: Json) -> Json:
    return {"datasource": DATASOURCE, "enable": True, "hide": False, **settings}


def _tag_link() -> Json:
    return {
        "type": "dashboards",
        "title": "runbookd",
        "tags": ["runbookd"],
        "asDropdown": True,
        "icon": "external link",
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "tooltip": "",
        "url": "",
    }
