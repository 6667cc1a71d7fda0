"""Reads the queries of addresses: filters and pages that can be pasted in a chat."""

from aiohttp import web


def parse_before(request: web.Request, name: str = "before") -> int | None:
    """Return the number in the query, or None without one.

    Raises:
        HTTPBadRequest: it is no number.
    """
    text = request.query.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise web.HTTPBadRequest(text=f"{name} must be a whole number, not {text[:50]!r}; follow the links of the page")
    return int(text)
