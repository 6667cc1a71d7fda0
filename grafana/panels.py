"""Build Grafana's classic dashboard JSON (schema 39, Grafana 10 and newer) from plain values.

Only the parts that our boards use are here. Each function returns a dict of the JSON. Nothing depends on the clock or
the machine, so the same sources always produce the same bytes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]

SCHEMA_VERSION = 39
COLUMNS = 24
DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}


def query(expr: str, legend: str = "", ref: str = "A", *, instant: bool = False, table: bool = False) -> Json:
    """Return a PromQL query of a panel; `instant` reads only the newest value, `table` gives one row per series."""
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
    """Return a runbook's limit as a query on the series that the alert compares with."""
    return query(record, f"limit {legend}", ref)


def stat(title: str, description: str, queries: Sequence[Json], *, unit: str, steps: Json, mappings: Json) -> Json:
    """Return a panel with the newest value of each series on a coloured background."""
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
    """Return a panel of values over time; queries from `limit` become dashed red lines."""
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
    """Return a panel with one row per series, coloured by its value while it exists."""
    return _panel("state-timeline", title, description, queries) | {
        "fieldConfig": _fields({"unit": unit, "mappings": [mappings], "custom": {"fillOpacity": 80}}),
        "options": {"mergeValues": True, "rowHeight": 0.8, "showValue": "never", "legend": {"showLegend": False}},
    }


def bars(title: str, description: str, queries: Sequence[Json], *, unit: str) -> Json:
    """Return a panel with the newest value of each series as a horizontal bar."""
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
    """Return a table with one row per series, newest first; `columns` maps labels to headings, in order."""
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
    """Map whole values to words and colours, as in {0: ("down", "red")}."""
    options = {str(value): {"text": text, "color": colour} for value, (text, colour) in values.items()}
    return {"type": "value", "options": options}


def steps(*pairs: tuple[float | None, str]) -> Json:
    """Map ranges to colours, each from its value on; the first pair has None, for all below the second."""
    return {"mode": "absolute", "steps": [{"value": value, "color": colour} for value, colour in pairs]}


def row(title: str, height: int, *panels: Json, width: int | None = None) -> list[Json]:
    """Return a heading and its panels, of one height and side by side; they wrap when the line is full."""
    return [{"type": "row", "title": title, "collapsed": False, "panels": [], "height": 1, "width": COLUMNS}] + [
        panel | {"height": height, "width": width or COLUMNS // len(panels)} for panel in panels
    ]


def place_panels(panels: Sequence[Json]) -> list[Json]:
    """Give every panel its id and place, from the top left, line by line."""
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
