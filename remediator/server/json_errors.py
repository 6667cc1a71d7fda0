"""JSON errors below `/api/`: `{"error": "one readable line"}`, with the status and headers of the error."""

from collections.abc import Mapping

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from remediator.model.errors import (
    InvalidParameter,
    LedgerUnavailable,
    NoSuchEpisode,
    NoSuchQuestion,
    NoSuchRun,
    NoSuchTarget,
    OperatorRemoved,
    RemediatorError,
    RoleTooLow,
    TargetUnreachable,
    WrongState,
)
from remediator.server.request_body import NUL

_FORWARDED_HEADERS = (hdrs.ALLOW, hdrs.WWW_AUTHENTICATE)
STATUS: dict[type[RemediatorError], int] = {
    InvalidParameter: 400,
    OperatorRemoved: 401,
    RoleTooLow: 403,
    NoSuchEpisode: 404,
    NoSuchQuestion: 404,
    NoSuchRun: 404,
    NoSuchTarget: 404,
    WrongState: 409,
    LedgerUnavailable: 503,
    TargetUnreachable: 503,
}


def status_of(error: RemediatorError, statuses: Mapping[type[RemediatorError], int] = STATUS) -> int:
    """Return the status of an error; a kind that is not listed has that of the one it specializes."""
    return next(statuses[kind] for kind in type(error).mro() if kind in statuses)


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer errors below `/api/`, unknown paths and methods included, with JSON."""
    if not request.path.startswith("/api/"):
        return await handler(request)
    if "\0" in request.path or "\0" in request.query_string:
        return web.json_response({"error": f"address: {NUL}"}, status=400)
    try:
        return await handler(request)
    except tuple(STATUS) as error:
        return web.json_response({"error": str(error)}, status=status_of(error))
    except web.HTTPException as error:
        headers = {name: error.headers[name] for name in _FORWARDED_HEADERS if name in error.headers}
        return web.json_response({"error": _error_text(request, error)}, status=error.status, headers=headers)


def _error_text(request: web.Request, error: web.HTTPException) -> str:
    """Return the text of the error, or a meaningful one if aiohttp only repeats the status."""
    text = (error.text or "").strip()
    if isinstance(error, web.HTTPMethodNotAllowed):
        return f"{request.path} accepts {', '.join(sorted(error.allowed_methods))}, not {request.method}"
    return f"there is no {request.path}" if text == "404: Not Found" else text
