"""The headers of every answer of the console: nothing but our own script, style and pages may run in it."""

from aiohttp import hdrs, web

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: with it, browsers send `Origin: null` with our own forms, and the check of their origin fails.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_OF_MACHINES = ("/api/", "/-/")


def is_console_path(path: str) -> bool:
    """Return whether the console answers this path; metrics, webhook, API and health keep their own answers."""
    return path not in ("/metrics", "/webhook", "/api") and not path.startswith(_OF_MACHINES)


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Add the headers; a page may hold plans and names, so no cache keeps it."""
    if is_console_path(request.path):
        response.headers.update(HEADERS)
        response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
