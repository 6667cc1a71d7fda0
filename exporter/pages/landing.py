"""The landing page at `/`: every target with its state and last error."""

from collections.abc import Iterable
from html import escape

from exporter.scheduling.target import ScheduledTarget
from runbookd.service import VERSION

_PAGE = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>runbook-exporter</title></head>
<body><h1>runbook-exporter {version}</h1>
<p><a href="metrics">Metrics</a> · <a href="metrics?debug=true">Debug page: what each target did</a> ·
<a href="sd">Service discovery</a> · <a href="-/ready">Ready?</a></p>
{reload}<table><tr><th>Target</th><th>State at the last scrape</th><th>Last error</th></tr>
{rows}
</table></body></html>
"""


def landing_page(targets: Iterable[ScheduledTarget], reload_error: str) -> str:
    """Return the page as HTML. `reload_error` is empty if the last reload succeeded."""
    reload = f"<p>The last reload failed; the previous inventory stays in use:</p><pre>{escape(reload_error)}</pre>\n"
    rows = "\n".join(_row(each) for each in targets)
    return _PAGE.format(version=escape(VERSION), reload=reload if reload_error else "", rows=rows)


def _row(target: ScheduledTarget) -> str:
    cells = (str(target), _state(target.problem), str(target.last_error or ""))
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def _state(problem: str | None) -> str:
    return "not scraped yet" if problem is None else problem or "up"
