"""Renders the console's pages: one environment, one layout, the state of the kill switch on each of them."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import hdrs, web
from jinja2 import Environment, PackageLoader, StrictUndefined

from remediator.console import times
from remediator.console.alerts import AlertmanagerWatch
from remediator.console.kill_switch import read_switch
from remediator.console.state_words import item_look, look_of
from remediator.console.static_files import static_url
from remediator.console.visible_text import make_visible, untrusted, web_link
from remediator.console.visitor import Visitor
from remediator.context import Context
from remediator.model.logfmt import format_evidence, format_pairs
from runbookd.inventory import Role, format_duration
from runbookd.service import VERSION


@dataclass
class Console:
    """The parts that every page needs.

    `fault` returns why nothing can be accepted or done now; `nav` names the main pages.
    """

    context: Context
    fault: Callable[[], str | None]
    alertmanager: AlertmanagerWatch
    nav: dict[str, str] = field(default_factory=dict)


CONSOLE: web.AppKey[Console] = web.AppKey("console")


async def render(
    request: web.Request, visitor: Visitor | None, template: str, *, command: str = "", status: int = 200, **values: Any
) -> web.Response:
    """Return a page. `command` is its equivalent of runbookctl, which the page shows and copies.

    A template can use what `_common` returns besides `values`.
    """
    console = request.app[CONSOLE]
    switch = await read_switch(console.context) if visitor is not None else None
    shown = _common(request, console, visitor) | {"switch": switch, "command": command} | values
    return web.Response(text=_ENVIRONMENT.get_template(template).render(shown), content_type="text/html", status=status)


def _common(request: web.Request, console: Console, visitor: Visitor | None) -> dict[str, Any]:
    return {
        "visitor": visitor,
        "nav": console.nav if visitor is not None else {},
        "path": request.path,
        "is_read": request.method == hdrs.METH_GET,  # the page can be fetched again
        "now": console.context.clock.now(),
        "can": lambda role: visitor is not None and visitor.role.includes(Role(role)),
        "fault": console.fault() if visitor is not None else None,
        "stacks": list(console.context.inventory.stacks) if visitor is not None else [],
    }


def _number_text(value: float) -> str:
    """Return a number without a needless fraction."""
    return f"{value:,.0f}" if value == round(value) or abs(value) >= 100 else f"{value:,.1f}"


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("remediator.console"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=make_visible,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {
        "untrusted": untrusted,
        "web_link": web_link,
        "iso": times.iso_text,
        "utc": times.utc_text,
        "in_zone": times.zone_text,
        "relative": times.relative_text,
        "clock": times.clock_text,
        "span": times.span_text,
        "duration": format_duration,
        "look": look_of,
        "item_look": item_look,
        "pairs": format_pairs,
        "number": _number_text,
        "evidence": format_evidence,
        "shell": shlex.join,
    }
    environment.globals |= {"static_url": static_url, "version": VERSION}
    return environment


_ENVIRONMENT = _environment()
