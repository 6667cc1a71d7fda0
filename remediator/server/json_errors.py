"""Every refusal of `/api/` is JSON: `{"error": "one line for people"}`, with the status and headers it has anyway."""

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from remediator.model.errors import LedgerUnavailable, NoSuchRun, WrongState

_FORWARDED_HEADERS = (hdrs.ALLOW, hdrs.WWW_AUTHENTICATE)
_STATUS = {NoSuchRun: 404, WrongState: 409, LedgerUnavailable: 503}


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what a handler raises, and paths and methods that there are not, into JSON; the rest is left alone."""
    if not request.path.startswith("/api/"):
        return await handler(request)
    try:
        return await handler(request)
    except (NoSuchRun, WrongState, LedgerUnavailable) as error:
        return web.json_response({"error": str(error)}, status=_STATUS[type(error)])
    except web.HTTPException as error:
        headers = {name: error.headers[name] for name in _FORWARDED_HEADERS if name in error.headers}
        return web.json_response({"error": _error_text(request, error)}, status=error.status, headers=headers)


def _error_text(request: web.Request, error: web.HTTPException) -> str:
    """What was said; or, where aiohttp only repeats the status, what that means here."""
    text = (error.text or "").strip()
    if isinstance(error, web.HTTPMethodNotAllowed):
        return f"{request.path} takes {', '.join(sorted(error.allowed_methods))}, not {request.method}"
    return f"there is no {request.path}" if text == "404: Not Found" else text
