"""Errors as pages: what failed, why, and what to do now. With a ledger that is out, that is the pause file."""

from collections.abc import Awaitable, Mapping
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from remediator.console.headers import is_console_path
from remediator.console.rendering import CONSOLE, render
from remediator.console.visitor import Visitor
from remediator.model.errors import LedgerUnavailable, OperatorRemoved, RemediatorError
from remediator.server.json_errors import STATUS, status_of

_STATUS: Mapping[type[RemediatorError], int] = {**STATUS, OperatorRemoved: 403}  # not 401: no token helps here
_HEADLINES = {
    400: "This cannot be done so",
    401: "Sign in first",
    403: "You may not do this",
    404: "There is nothing here",
    405: "This page does not take that",
    409: "The state has changed since this page was made",
    429: "Too many attempts",
    503: "Not available now",
}
log = structlog.get_logger(__name__)


@web.middleware
async def errors_as_pages(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer errors of the console's paths with a page, also where no page is."""
    if not is_console_path(request.path):
        return await handler(request)
    return await answer_with_page(request, None, handler(request))


async def answer_with_page(
    request: web.Request, visitor: Visitor | None, answer: Awaitable[web.StreamResponse]
) -> web.StreamResponse:
    """Return `answer`, or the page of the error that it raises; a redirection stays one."""
    try:
        return await answer
    except tuple(_STATUS) as error:
        is_ledger = isinstance(error, LedgerUnavailable)
        status = status_of(error, _STATUS)
        return await _page(request, visitor, status, str(error), is_ledger=is_ledger)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return await _page(request, visitor, error.status, _text(request, error), error)
    except Exception as error:
        log.exception("a page failed", path=request.path)
        text = f"internal error: {type(error).__name__}; see the remediator's log"
        return await _page(request, visitor, 500, text)


async def _page(
    request: web.Request,
    visitor: Visitor | None,
    status: int,
    text: str,
    error: web.HTTPException | None = None,
    *,
    is_ledger: bool = False,
) -> web.Response:
    console = request.app[CONSOLE]
    values: dict[str, Any] = {
        "headline": "The ledger is out" if is_ledger else _HEADLINES.get(status, HTTPStatus(status).phrase),
        "text": text,
        "pause_file": str(console.context.pause_file.absolute()) if console.context.pause_file is not None else "",
        "is_ledger": is_ledger,
    }
    page = await render(request, visitor, "error.html", status=status, **values)
    for name in (hdrs.ALLOW, hdrs.RETRY_AFTER, hdrs.WWW_AUTHENTICATE):
        if error is not None and name in error.headers:
            page.headers[name] = error.headers[name]
    return page


def _text(request: web.Request, error: web.HTTPException) -> str:
    if isinstance(error, web.HTTPMethodNotAllowed):
        return f"{request.path} accepts {', '.join(sorted(error.allowed_methods))}, not {request.method}"
    text = (error.text or "").strip()
    return f"There is no page {request.path}." if text == "404: Not Found" else text
