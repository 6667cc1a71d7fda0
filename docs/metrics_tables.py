"""The tables of docs/metrics/*.md, from the metrics' declarations."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from exporter import job_lane, runner, serving
from exporter.collectors import COLLECTORS
from exporter.metric import Metric
from exporter.postgres import queries
from exporter.runner import TARGET_METRICS

FOLDER = Path(__file__).parent / "metrics"
OWN_METRICS = (*runner.OWN_METRICS, *serving.METRICS)
METRICS: Mapping[str, Sequence[Metric]] = {
    "exporter": (*OWN_METRICS, *TARGET_METRICS, *job_lane.METRICS, *queries.METRICS),
    **{kind: collector.metrics for kind, collector in COLLECTORS.items()},
}
"""What is exported, by the page that tells of it."""
_TABLE = re.compile(r"(?<=<!-- table: written by `make docs` -->\n).*?(?=<!-- end of table -->)", re.DOTALL)
_UNITS = {"timestamp_seconds": "seconds since 1970", "seconds": "seconds", "bytes": "bytes", "ratio": "a ratio"}


def metrics_pages() -> Iterator[tuple[Path, str]]:
    """Yield every page with its table as it should be."""
    for kind, metrics in METRICS.items():
        file = FOLDER / f"{kind}.md"
        before, *after = _TABLE.split(file.read_text(encoding="utf-8"))
        if len(after) != 1:
            raise ValueError(f"{file.name} has {len(after)} places for the table of its metrics, not one")
        yield file, before + _table(metrics) + after[0]


def _table(metrics: Sequence[Metric]) -> str:
    """A column that would be empty is left out."""
    rows = [_row(metric) for metric in metrics]
    used = [column for column in rows[0] if any(row[column] for row in rows)]
    lines = [used, ["---"] * len(used), *([row[column] for column in used] for row in rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _row(metric: Metric) -> dict[str, str]:
    leading = () if metric in OWN_METRICS else ("stack", "target")
    return {
        "metric": f"`{metric.name}`",
        "type": metric.type,
        "unit": _unit(metric),
        "labels": ", ".join((*leading, *metric.labels)),
        "meaning": metric.help,
        "source": metric.source,
        "versions": metric.since,
    }


def _unit(metric: Metric) -> str:
    name = metric.name.removesuffix("_total")
    return next((unit for ending, unit in _UNITS.items() if name.endswith(f"_{ending}")), "")
