"""The page at `/`, for people who look where the numbers come from."""

from collections.abc import Iterable
from html import escape

from daemon import VERSION
from exporter.target import Target

_PAGE = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>runbook-exporter</title></head>
<body><h1>runbook-exporter {version}</h1>
<p><a href="metrics">Metrics</a> · <a href="sd">Service discovery</a> · <a href="-/ready">Ready?</a></p>
<table><tr><th>Target</th><th>State at the last scrape</th></tr>
{rows}
</table></body></html>
"""


def landing_page(targets: Iterable[Target]) -> str:
    """Return the page as HTML."""
    rows = "\n".join(
        f"<tr><td>{escape(str(each))}</td><td>{escape(_state(each.problem))}</td></tr>" for each in targets
    )
    return _PAGE.format(version=escape(VERSION), rows=rows)


def _state(problem: str | None) -> str:
    return "not scraped yet" if problem is None else problem or "up"
