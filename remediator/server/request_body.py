"""Reads the JSON body of a request to the API."""

import re
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from runbookd.inventory.words import problem_text

Body = TypeVar("Body", bound=BaseModel)
NUL = "has a NUL character, which no ledger in PostgreSQL can store; remove it"
_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


async def read_body(request: web.Request, kind: type[Body]) -> Body:
    """Return the body as `kind`.

    Raises:
        HTTPBadRequest: one line that names the first invalid key.
    """
    content = await request.read()
    if _ESCAPED_NUL.search(content):
        raise web.HTTPBadRequest(text=f"body: {NUL}\n")
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        detail = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in detail["loc"]) or "body"
        raise web.HTTPBadRequest(text=f"{place}: {problem_text(detail)}\n") from None
