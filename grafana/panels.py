"""Builds Grafana's classic dashboard JSON (schema 39, Grafana 10 and newer) from plain values.

Only what our boards use is here. Each function returns a dict that goes into the JSON as it is; nothing is computed
from the clock or the machine, so the same sources always make the same bytes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]

SCHEMA_VERSION = 39
COLUMNS = 24
DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}


def query(expr: str, legend: str = "", ref: str = "A", *, instant: bool = False, table: bool = False) -> Json:
    """One PromQL query of a panel; `instant` asks for the newest value, `table` for one row a series."""
    return {
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": expr,
        "format": "table" if table else "time_series",
        "instant": instant,
        "legendFormat": legend or "__auto",
        "range": not instant,
        "refId": ref,
    }


def limit(record: str, legend: str, ref: str = "LIMIT") -> Json:
    """The runbook's number as a query: the same series that the alert compares with, so the line follows the rule."""
    return query(record, f"limit {legend}", ref)


def stat(title: str, description: str, queries: Sequence[Json], *, unit: str, steps: Json, mappings: Json) -> Json:
    """The newest value of each series, with a coloured background."""
    return _panel("stat", title, description, queries) | {
        "fieldConfig": _fields({"unit": unit, "thresholds": steps, "mappings": [mappings] if mappings else []}),
        "options": {
            "colorMode": "background",
            "graphMode": "none",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "textMode": "auto",
        },
    }


def graph(title: str, description: str, queries: Sequence[Json], *, unit: str, stacked: bool = False) -> Json:
    """Values over time; a query made by `limit` is drawn as a dashed red line."""
    style = {
        "drawStyle": "line",
        "fillOpacity": 20 if stacked else 0,
        "showPoints": "never",
        "stacking": {"group": "A", "mode": "normal" if stacked else "none"},
    }
    return _panel("timeseries", title, description, queries) | {
        "fieldConfig": _fields({"unit": unit, "min": 0, "custom": style}, [_LIMIT_LINE]),
        "options": {
            "legend": {"calcs": ["lastNotNull"], "displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
    }


def timeline(title: str, description: str, queries: Sequence[Json], *, unit: str, mappings: Json) -> Json:
    """A row for each series, coloured by its value while it exists."""
    return _panel("state-timeline", title, description, queries) | {
        "fieldConfig": _fields({"unit": unit, "mappings": [mappings], "custom": {"fillOpacity": 80}}),
        "options": {"mergeValues": True, "rowHeight": 0.8, "showValue": "never", "legend": {"showLegend": False}},
    }


def bars(title: str, description: str, queries: Sequence[Json], *, unit: str) -> Json:
    """The newest value of each series as a horizontal bar."""
    return _panel("bargauge", title, description, queries) | {
        "fieldConfig": _fields({"unit": unit, "min": 0}),
        "options": {
            "displayMode": "basic",
            "orientation": "horizontal",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "valueMode": "color",
        },
    }


def table(title: str, description: str, queries: Sequence[Json], *, unit: str, columns: Mapping[str, str]) -> Json:
    """One row a series, newest value first; `columns` are the labels to show and their headings, in order."""
    organize = {
        "excludeByName": {"Time": True, "__name__": True, "instance": True, "job": True},
        "indexByName": {name: position for position, name in enumerate(columns)},
        "renameByName": dict(columns),
    }
    return _panel("table", title, description, queries) | {
        "fieldConfig": _fields({}, [_override_by_name(columns["Value"], [("unit", unit)])]),
        "options": {"showHeader": True, "sortBy": [{"displayName": columns["Value"], "desc": True}]},
        "transformations": [{"id": "organize", "options": organize}],
    }


def states(values: Mapping[int, tuple[str, str]]) -> Json:
    """Words and colours for whole values, as in {0: ("down", "red")}."""
    options = {str(value): {"text": text, "color": colour} for value, (text, colour) in values.items()}
    return {"type": "value", "options": options}


def steps(*pairs: tuple[float | None, str]) -> Json:
    """Colours from a value on; the first pair has None, for everything below the second."""
    return {"mode": "absolute", "steps": [{"value": value, "color": colour} for value, colour in pairs]}


def row(title: str, height: int, *panels: Json, width: int | None = None) -> list[Json]:
    """A heading, and below it panels of one height, side by side; they break where the line is full."""
    return [{"type": "row", "title": title, "collapsed": False, "panels": [], "height": 1, "width": COLUMNS}] + [
        panel | {"height": height, "width": width or COLUMNS // len(panels)} for panel in panels
    ]


def place_panels(panels: Sequence[Json]) -> list[Json]:
    """Gives every panel its id and its place, from the top left, line by line."""
    result: list[Json] = []
    x = y = line = 0
    for number, panel in enumerate(panels, start=1):
        width, height = panel["width"], panel["height"]
        if x + width > COLUMNS or panel["type"] == "row":
            x, y = 0, y + line
        rest = {key: value for key, value in panel.items() if key not in {"width", "height"}}
        result.append(rest | {"id": number, "gridPos": {"x": x, "y": y, "w": width, "h": height}})
        x, line = x + width, height
    return result


def _panel(kind: str, title: str, description: str, queries: Sequence[Json]) -> Json:
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "targets": list(queries),
    }


def _fields(defaults: Json, overrides: Sequence[Json] = ()) -> Json:
    return {"defaults": defaults, "overrides": list(overrides)}


def _override_by_name(name: str, properties: Sequence[tuple[str, Any]]) -> Json:
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": key, "value": value} for key, value in properties],
    }


_LIMIT_LINE: Json = {
    "matcher": {"id": "byFrameRefID", "options": "LIMIT"},
    "properties": [
        {"id": "color", "value": {"mode": "fixed", "fixedColor": "red"}},
        {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [10, 10]}},
        {"id": "custom.fillOpacity", "value": 0},
        {"id": "custom.stacking", "value": {"group": "LIMIT", "mode": "none"}},
    ],
}
