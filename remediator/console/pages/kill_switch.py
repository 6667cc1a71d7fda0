"""`/pause`: what is stopped and by whom; stopping takes one press and a reason, releasing also the typed name."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web
from pydantic import ValidationError
from yarl import URL

from remediator.console.kill_switch import EVERYTHING, read_switch
from remediator.console.rendering import render
from remediator.console.routes import ConsoleRoutes
from remediator.console.visitor import Visitor
from remediator.context import Context
from remediator.model.errors import InvalidParameter
from remediator.runs.pausing import MAX_REASON, PauseRequest, pause, resume
from runbookd.inventory.words import problem_text


def add_routes(routes: ConsoleRoutes) -> None:
    """Add the page and its two acts."""
    context = routes.context

    async def show(request: web.Request, visitor: Visitor) -> web.Response:
        return await _page(request, visitor, just_released=await _just_released(context, request.query.get("released")))

    async def post_pause(request: web.Request, visitor: Visitor) -> web.StreamResponse:
        form = await _form(request)
        try:
            await pause(context, _pause_request(form), visitor.operator)
        except InvalidParameter as error:
            return await _page(request, visitor, stop_problem=str(error), entered=form)
        raise web.HTTPSeeOther("/pause")

    async def post_resume(request: web.Request, visitor: Visitor) -> web.StreamResponse:
        form = await _form(request)
        try:
            await _release(context, form, visitor.operator)
        except InvalidParameter as error:
            return await _page(request, visitor, release_problem=str(error), released=form)
        routes.wake()
        raise web.HTTPSeeOther(URL("/pause").with_query(released=form["scope"]))

    routes.get("/pause", show)
    routes.post("/pause", post_pause)
    routes.post("/resume", post_resume)


async def _page(request: web.Request, visitor: Visitor, **values: Any) -> web.Response:
    shown = {"stop_problem": "", "release_problem": "", "entered": {}, "released": {}, "just_released": None} | values
    is_invalid = shown["stop_problem"] or shown["release_problem"]
    return await render(
        request,
        visitor,
        "kill_switch.html",
        command="runbookctl status",
        status=400 if is_invalid else 200,
        **shown,
    )


async def _just_released(context: Context, scope: str | None) -> str | None:
    """Return the scope that the address names as released, unless it was stopped again or is none."""
    if scope != EVERYTHING and scope not in context.inventory.stacks:
        return None
    switch = await read_switch(context)
    is_stopped = any(each.scope == scope and not each.is_by_file for each in switch.stops)
    return None if switch.trouble or is_stopped else scope


async def _form(request: web.Request) -> dict[str, str]:
    """Return the fields of the form that are texts; the guard has read it."""
    return {name: value for name, value in (await request.post()).items() if isinstance(value, str)}


def _pause_request(form: Mapping[str, str]) -> PauseRequest:
    """Return the request; the rules and their words are those of the API."""
    scope, span = form.get("scope", EVERYTHING), form.get("for", "")
    try:
        return PauseRequest.model_validate(
            {
                "reason": form.get("reason", ""),
                "stack": None if scope == EVERYTHING else scope,
                "for": span or None,
            }
        )
    except ValidationError as error:
        detail = error.errors(include_input=False, include_url=False)[0]
        raise InvalidParameter(f"{detail['loc'][0]}: {problem_text(detail)}") from None


async def _release(context: Context, form: Mapping[str, str], operator: str) -> None:
    """End the stops of one scope, if it still is one, its name was typed and a reason given."""
    scope, reason = form.get("scope", ""), form.get("reason", "").strip()
    if form.get("typed", "").strip().casefold() != scope.casefold():
        raise InvalidParameter(f"type {scope} to release it; nothing was released")
    if not reason or len(reason) > MAX_REASON:
        raise InvalidParameter(f"give a reason of at most {MAX_REASON} characters; nothing was released")
    switch = await read_switch(context)
    if scope not in {each.scope for each in switch.stops if not each.is_by_file}:
        raise InvalidParameter(f"{scope} is not stopped any longer, or only by the pause file; nothing was released")
    await resume(context, None if scope == EVERYTHING else scope, operator, reason)
