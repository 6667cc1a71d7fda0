"""Reads the form of a request within a limit of size and time, before the guard reads who sends it."""

import asyncio
from collections.abc import Mapping

from aiohttp import web

MAX_BYTES = 64 * 1024
READ_SECONDS = 10.0
KIND = "application/x-www-form-urlencoded"


class UnusableForm(Exception):
    """The body is no form of a page; `status` is that of the answer."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


async def read_form(request: web.Request) -> Mapping[str, str]:
    """Return the fields of a form; the request keeps them for its handler.

    Raises:
        UnusableForm: it is of another kind, too large, not UTF-8, or it did not arrive in time.
    """
    if (request.content_length or 0) > MAX_BYTES:
        raise UnusableForm("The form is too large; shorten what you wrote.", 413)
    if request.content_type != KIND and request.can_read_body:
        raise UnusableForm("This is no form of the console; use its pages.", 415)
    try:
        async with asyncio.timeout(READ_SECONDS):
            body = await request.read()
            fields = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
    except TimeoutError:
        raise UnusableForm("The form did not arrive in time; send it again.", 408) from None
    except (ValueError, LookupError):
        raise UnusableForm("The form is not UTF-8 text; use the pages of the console.", 400) from None
    if len(body) > MAX_BYTES:
        raise UnusableForm("The form is too large; shorten what you wrote.", 413)
    return fields
