"""The frame that all our boards share: variables, annotations and links."""

from collections.abc import Sequence

from grafana.panels import DATASOURCE, SCHEMA_VERSION, Json, place_panels

RUNS = Json(
    name="Remediation runs",
    # The value is the time itself, in milliseconds: one exact marker per run, independent of the scrape interval.
    expr='remediation_last_run_timestamp_seconds{stack=~"$stack"} * 1000',
    useValueForTime=True,
    titleFormat="{{remediation}} {{outcome}}",
    textFormat="{{stack}} {{target}}",
    tagKeys="stack,remediation,outcome",
    iconColor="purple",
)
FIRING = Json(
    name="Firing alerts",
    expr='ALERTS{alertstate="firing", stack=~"$stack"}',
    useValueForTime=False,
    titleFormat="{{alertname}}",
    textFormat="{{stack}} {{target}} {{queue}}",
    tagKeys="stack,alertname,severity",
    iconColor="red",
)


def board(uid: str, title: str, description: str, panels: Sequence[Json]) -> Json:
    """Return a dashboard that is read-only in the browser, because it is generated from these sources."""
    return {
        "uid": uid,
        "id": None,
        "title": title,
        "description": description,
        "tags": ["runbookd"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "utc",
        "templating": {"list": [_datasource(), _stack()]},
        "annotations": {"list": [_annotation(RUNS), _annotation(FIRING)]},
        "links": [_tag_link()],
        "panels": place_panels(panels),
    }


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
    """Return the variable of all stacks; Grafana refreshes it with the time range, because stacks come and go."""
    return {
        "name": "stack",
        "label": "Stack",
        "type": "query",
        "datasource": DATASOURCE,
        "definition": "label_values(stack_info, stack)",
        "query": {"query": "label_values(stack_info, stack)", "refId": "stack"},
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".+",
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
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
    }
