"""Generate the tables of docs/reference/metrics/*.md from declarations and coverage."""

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from exporter import reload, scrape
from exporter.collectors import COLLECTORS
from exporter.metric import Metric
from exporter.postgres import user_queries
from exporter.scheduling import job_lane
from exporter.scrape import TARGET_METRICS
from tools.docs import REFERENCE
from tools.docs.coverage_files import covered_rows
from tools.docs.page_parts import EMPTY_PART, replace_part, table

FOLDER = REFERENCE / "metrics"
OWN_METRICS = (*scrape.OWN_METRICS, *reload.METRICS)
METRICS: Mapping[str, Sequence[Metric]] = {
    "exporter": (*OWN_METRICS, *TARGET_METRICS, *job_lane.METRICS, *user_queries.METRICS),
    **{kind: collector.metrics for kind, collector in COLLECTORS.items()},
}
"""The exported metrics, by their page."""
_UNITS = {"timestamp_seconds": "seconds since 1970", "seconds": "seconds", "bytes": "bytes", "ratio": "a ratio"}


def metrics_pages() -> Iterator[tuple[Path, str]]:
    """Yield every page with its table generated again."""
    rows = _rows_by_metric()
    for kind, metrics in METRICS.items():
        file = FOLDER / f"{kind}.md"
        page = file.read_text(encoding="utf-8") if file.exists() else first_page(kind)
        yield file, replace_part(file, _table(metrics, rows), page)


def first_page(kind: str) -> str:
    """Return the page of a new kind, with the words of its package; what operators need to know follows by hand."""
    package = COLLECTORS[kind].__module__.rpartition(".")[0]
    title, _, text = (sys.modules[package].__doc__ or kind).strip().partition("\n")
    return f"# {title.rstrip('.')}\n{text}\n\n{EMPTY_PART}"


def _rows_by_metric() -> Mapping[str, Sequence[str]]:
    rows = defaultdict(list)
    for row in covered_rows():
        for metric in row.answers.metric:
            rows[metric].append(row.id)
    return rows


def _table(metrics: Sequence[Metric], runbook_rows: Mapping[str, Sequence[str]]) -> str:
    """Return the table without empty columns."""
    rows = [{**_row(metric), "runbook rows": ", ".join(runbook_rows.get(metric.name, ()))} for metric in metrics]
    used = [column for column in rows[0] if any(row[column] for row in rows)]
    return table([used, *([row[column] for column in used] for row in rows)])


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
