"""The page after an act that came too late: why, what holds now, and what was typed."""

from typing import Any

from aiohttp import web

from remediator.console.rendering import render
from remediator.console.visitor import Visitor
from remediator.model.errors import WrongState


async def refused_act(
    request: web.Request, visitor: Visitor, error: WrongState, headline: str, run: int | None = None, typed: str = ""
) -> web.Response:
    """Return the page, with a link to `run`; `typed` is what the operator wrote, to copy."""
    values: dict[str, Any] = {"headline": headline, "text": str(error), "run": run, "typed": typed}
    return await render(request, visitor, "refused_act.html", status=409, **values)
