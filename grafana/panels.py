"""Build Grafana's classic dashboard JSON (schema 39, Grafana 10 and newer) from plain values.

Only the parts that our boards use are here. Each function returns a dict of the JSON. Nothing depends on the clock or
the machine, so the same sources always produce the same bytes.

A panel without data shows the words in `missing`, never a colour that looks like health. `alerts` names the alerts
whose panel it is: it links to their rules, and they link to it (`grafana.links`).
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack
from zlib import crc32

Json = dict[str, Any]

SCHEMA_VERSION = 39
COLUMNS = 24
DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
GREY = "#8e8e8e"
"""The colour of what is not known."""


class Frame(TypedDict, total=False):
    """Settings of every kind of panel: the words without data, its alerts, and overrides of single fields."""

    missing: str
    alerts: Sequence[str]
    overrides: Sequence[Json]


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


def newest(expr: str, legend: str = "", ref: str = "A") -> Json:
    """Return a query of the newest value."""
    return query(expr, legend, ref, instant=True)


def column(expr: str, ref: str = "A") -> Json:
    """Return a query whose newest values are a column of a table, `Value #REF` before it is renamed."""
    return query(expr, ref=ref, instant=True, table=True)


def limits(*quantities: str) -> Json:
    """Return the runbooks' limits of quantities as one query: the series that their alerts compare with."""
    names = quantities[0] if len(quantities) == 1 else f"({'|'.join(quantities)})"
    selector = f'{{__name__=~"runbook:{names}:(critical|warning|info)",stack=~"$stack"}}'
    by_severity = f'label_replace({selector}, "severity", "$1", "__name__", ".+:(.+)")'
    by_quantity = f'label_replace({by_severity}, "quantity", "$1", "__name__", ".+:(.+):.+")'
    expr = f"max by (stack, quantity, kind, severity) ({by_quantity})"
    quantity = "" if len(quantities) == 1 else " {{quantity}}"
    return query(expr, f"{{{{stack}}}} {{{{kind}}}}{quantity} limit ({{{{severity}}}})", "LIMIT")


def stat(
    title: str,
    description: str,
    queries: Sequence[Json],
    *,
    unit: str,
    steps: Json,
    mappings: Json | None = None,
    **frame: Unpack[Frame],
) -> Json:
    """Return a panel with the newest value of each series on a coloured background."""
    return _panel("stat", title, description, queries, frame) | {
        "fieldConfig": _fields({"unit": unit, "thresholds": steps, "mappings": [mappings] if mappings else []}, frame),
        "options": {
            "colorMode": "background",
            "graphMode": "none",
            "justifyMode": "auto",
            "orientation": "auto",
            "reduceOptions": _NEWEST,
            "textMode": "auto",
        },
    }


def graph(
    title: str,
    description: str,
    queries: Sequence[Json],
    *,
    unit: str,
    stacked: bool = False,
    maximum: float | None = None,
    least_top: float | None = None,
    many: bool = False,
    **frame: Unpack[Frame],
) -> Json:
    """Return a panel of values over time; a query from `limits` becomes dashed lines.

    `least_top` is the lowest upper end of the axis: without one, an axis of zeros ends at 100. With `many` lines, the
    legend has only their names: their newest values would take the room of the lines.
    """
    style = {
        "axisSoftMax": _LEAST_TOP.get(unit, 1) if least_top is None else least_top,
        "drawStyle": "line",
        "fillOpacity": 20 if stacked else 0,
        "lineWidth": 1,
        "showPoints": "never",
        "stacking": {"group": "A", "mode": "normal" if stacked else "none"},
    }
    defaults = {"unit": unit, "min": 0, "custom": style} | ({} if maximum is None else {"max": maximum})
    with_limits = any(each["refId"] == "LIMIT" for each in queries)
    return _panel("timeseries", title, description, queries, frame) | {
        "fieldConfig": _fields(defaults, frame, _LIMIT_LINES if with_limits else ()),
        "options": {
            "legend": {
                # `lastNotNull` would go on showing the value of a series that has ended: an episode that is over.
                "calcs": [] if stacked or many else ["last"],
                "displayMode": "list",
                "placement": "bottom",
                "showLegend": True,
            },
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
    }


def timeline(title: str, description: str, queries: Sequence[Json], *, mappings: Json, **frame: Unpack[Frame]) -> Json:
    """Return a panel with one row per series, coloured by its value while it exists."""
    fields = {"unit": "none", "mappings": [mappings], "custom": {"fillOpacity": 80, "lineWidth": 0}}
    return _panel("state-timeline", title, description, queries, frame) | {
        "fieldConfig": _fields(fields, frame),
        "options": {
            "alignValue": "left",
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "mergeValues": True,
            "rowHeight": 0.8,
            "showValue": "never",
            "tooltip": {"mode": "single", "sort": "none"},
        },
    }


def bars(
    title: str,
    description: str,
    queries: Sequence[Json],
    *,
    unit: str,
    steps: Json | None = None,
    **frame: Unpack[Frame],
) -> Json:
    """Return a panel with the newest value of each series as a horizontal bar."""
    share = {"decimals": 1, "max": 1} if unit == "percentunit" else {}
    defaults = {"unit": unit, "min": 0, "thresholds": steps or _PLAIN_STEPS} | share
    return _panel("bargauge", title, description, queries, frame) | {
        "fieldConfig": _fields(defaults, frame),
        "options": {
            "displayMode": "basic",
            # Names stand above their bars, whole; few bars stay as thin as many.
            "maxVizHeight": 50,
            "minVizHeight": 40,
            "namePlacement": "top",
            "orientation": "horizontal",
            "reduceOptions": _NEWEST,
            "showUnfilled": True,
            "sizing": "manual",
            "text": {"titleSize": 13, "valueSize": 18},
            "valueMode": "color",
        },
    }


def table(
    title: str,
    description: str,
    queries: Sequence[Json],
    *,
    columns: Mapping[str, str],
    sort: str,
    units: Mapping[str, str],
    widths: Mapping[str, int] | None = None,
    hidden: Sequence[str] = (),
    **frame: Unpack[Frame],
) -> Json:
    """Return a table with one row per series, the largest of the column `sort` first.

    `columns` maps labels and values (`Value`, or `Value #REF` of several queries) to headings, in order; the usual
    others and `hidden` are left out. `units` maps headings to units, `widths` to pixels; the others share the rest.
    """
    organize = {
        "excludeByName": {name: True for name in (*_HIDDEN, *hidden) if name not in columns},
        "indexByName": {name: position for position, name in enumerate(columns)},
        "renameByName": dict(columns),
    }
    merge = [{"id": "merge", "options": {}}] if len(queries) > 1 else []
    overrides = [
        _EMPTY_CELLS,
        *(override(heading, unit=unit) for heading, unit in units.items()),
        *(override(heading, custom__width=width) for heading, width in _widths(columns, units, widths or {}).items()),
    ]
    return _panel("table", title, description, queries, frame) | {
        "fieldConfig": _fields(_TABLE_DEFAULTS, frame, overrides),
        "options": {"cellHeight": "sm", "showHeader": True, "sortBy": [{"displayName": sort, "desc": True}]},
        "transformations": [*merge, {"id": "organize", "options": organize}],
    }


def _widths(columns: Mapping[str, str], units: Mapping[str, str], widths: Mapping[str, int]) -> dict[str, int]:
    """Return the widths in pixels of the columns whose content is of a known length; the others share the rest."""
    stack = {"Stack": 90} if "Stack" in columns.values() else {}
    return {**stack, **{heading: _TIME_WIDTH[unit] for heading, unit in units.items() if unit in _TIME_WIDTH}, **widths}


def override(name: str, **properties: Any) -> Json:
    """Return settings for the field with this name; `custom__x` sets `custom.x`."""
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": key.replace("__", "."), "value": value} for key, value in properties.items()],
    }


def override_query(ref: str, **properties: Any) -> Json:
    """Return settings for the fields of one query."""
    return override("", **properties) | {"matcher": {"id": "byFrameRefID", "options": ref}}


def override_matching(pattern: str, **properties: Any) -> Json:
    """Return settings for the fields whose name matches a regular expression, such as "/errors$/"."""
    return override("", **properties) | {"matcher": {"id": "byRegexp", "options": pattern}}


def coloured(name: str, words: Json) -> Json:
    """Return settings that show a table's column as coloured words."""
    return override(name, mappings=[words], custom__cellOptions={"type": "color-background", "mode": "basic"})


def states(values: Mapping[int, tuple[str, str]]) -> Json:
    """Map whole values to words and colours, as in {0: ("down", "red")}."""
    options = {
        str(value): {"text": text, "color": colour, "index": index}
        for index, (value, (text, colour)) in enumerate(values.items())
    }
    return {"type": "value", "options": options}


def from_value(least: float, text: str, colour: str) -> Json:
    """Map all values from `least` on to a word and a colour."""
    return {"type": "range", "options": {"from": least, "to": None, "result": {"text": text, "color": colour}}}


def steps(*pairs: tuple[float | None, str]) -> Json:
    """Map ranges to colours, each from its value on; the first pair has None, for all below the second."""
    return {"mode": "absolute", "steps": [{"value": value, "color": colour} for value, colour in pairs]}


def row(title: str, height: int, *panels: Json, width: int | None = None) -> list[Json]:
    """Return a heading and its panels, of one height and side by side; they wrap when the line is full.

    A panel with a `width` of its own keeps it.
    """
    heading = {"type": "row", "title": title, "collapsed": False, "panels": [], "height": 1, "width": COLUMNS}
    each = width or COLUMNS // len(panels)
    return [heading, *({"height": height, "width": each} | panel for panel in panels)]


def wide(panel: Json, width: int) -> Json:
    """Return the panel with a width of its own, in columns."""
    return panel | {"width": width}


def panel_id(title: str) -> int:
    """Return the id of the panel with this title: links to it survive a new order of the panels."""
    return 1 + crc32(title.encode()) % 1_000_000


def place_panels(panels: Sequence[Json]) -> list[Json]:
    """Give every panel its id and place, from the top left, line by line."""
    result: list[Json] = []
    x = y = line = 0
    for panel in panels:
        width, height = panel["width"], panel["height"]
        if x + width > COLUMNS or panel["type"] == "row":
            x, y = 0, y + line
        rest = {key: value for key, value in panel.items() if key not in {"width", "height"}}
        place = {"x": x, "y": y, "w": width, "h": height}
        result.append(rest | {"id": panel_id(f"{panel['type']} {panel['title']}"), "gridPos": place})
        x, line = x + width, height
    return result


def _panel(kind: str, title: str, description: str, queries: Sequence[Json], frame: Frame) -> Json:
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "targets": list(queries),
        "links": [_rule_link(alert) for alert in frame.get("alerts", ())],
    }


def _rule_link(alert: str) -> Json:
    """Return a link to the rule in Grafana's list, which shows Prometheus' rules and their state."""
    return {"title": f"Alert {alert}", "url": f"/alerting/list?search=rule:{alert}", "targetBlank": True}


def _fields(defaults: Json, frame: Frame, overrides: Sequence[Json] = ()) -> Json:
    return {
        "defaults": {**defaults, "noValue": frame.get("missing", "not measured")},
        "overrides": [*overrides, *frame.get("overrides", ())],
    }


def _limit_colour(severity: str, colour: str) -> Json:
    return {
        "matcher": {"id": "byRegexp", "options": f"/limit \\({severity}\\)$/"},
        "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
    }


_NEWEST: Json = {"calcs": ["lastNotNull"], "fields": "", "values": False}
_PLAIN_STEPS: Json = {"mode": "absolute", "steps": [{"value": None, "color": "blue"}]}
_LEAST_TOP = {"s": 0.1}
_TABLE_DEFAULTS: Json = {"custom": {"align": "auto", "cellOptions": {"type": "auto"}, "minWidth": 60}}
# The words of a panel without data are not those of a cell without a value.
_EMPTY_CELLS: Json = {
    "matcher": {"id": "byRegexp", "options": "/.*/"},
    "properties": [{"id": "noValue", "value": "-"}],
}
_TIME_WIDTH = {"dateTimeFromNow": 140, "dateTimeAsIso": 170}
_HIDDEN = ("Time", "__name__", "instance", "job")
_LIMIT_LINES: Sequence[Json] = (
    override_query(
        "LIMIT",
        custom__lineStyle={"fill": "dash", "dash": [10, 10]},
        custom__fillOpacity=0,
        custom__stacking={"group": "LIMIT", "mode": "none"},
    ),
    _limit_colour("critical", "red"),
    _limit_colour("warning", "orange"),
    _limit_colour("info", "blue"),
)
