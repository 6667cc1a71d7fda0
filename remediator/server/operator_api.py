"""`/api/v1`: the operators' queries and commands. Every call needs an operator's bearer token."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Protocol

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.bounds.kill_switch import read_pause_file
from remediator.context import Context
from remediator.ledger import audit, effects, episodes, runs, switches
from remediator.ledger.audit import RunEvent
from remediator.ledger.effects import RunItem
from remediator.ledger.run_list import list_runs
from remediator.ledger.runs import Run
from remediator.ledger.switches import ActivePause, OpenBreaker
from remediator.model.clock import rfc3339
from remediator.model.episode_key import EpisodeKey
from remediator.model.errors import NoSuchRun
from remediator.model.known_stacks import require_stack
from remediator.model.run_state import RunState
from remediator.reports.recurring import recurring_problem_of
from remediator.reports.recurring_json import problem_json
from remediator.runs import approval
from remediator.runs.approval import approve, reject
from remediator.runs.pausing import PauseRequest, pause, resume
from remediator.server.audit_proof import AuditProof
from remediator.server.bearer_tokens import BearerTokens
from remediator.server.request_body import read_body
from remediator.server.run_filter import check_run_filter
from runbookd.inventory import Role
from runbookd.inventory.suggest import suggest

MAX_LIMIT = 1_000
log = structlog.get_logger(__name__)
NO_OPERATORS = "no operators are configured; add operators: {oncall: {token_file: …}} to the inventory\n"

OperatorHandler = Callable[[web.Request, str], Awaitable[web.Response]]


class OperatorGuard(Protocol):
    """Guards a handler: GET needs the role viewer, any other method the role operator or `least`."""

    def __call__(self, handler: OperatorHandler, least: Role = Role.OPERATOR) -> Handler:
        """Return the guarded handler."""


class Rejection(BaseModel):
    """The body of `POST /api/v1/runs/ID/reject`."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(default="", max_length=approval.MAX_REASON)


def add_api_routes(app: web.Application, context: Context, tokens: BearerTokens, wake: Callable[[], None]) -> "Api":
    """Add every route but the previews; return the handlers, whose guard the previews share."""
    api = Api(context, tokens, wake)
    app.router.add_get("/api/v1/runs", api.require_operator(api.get_runs))
    app.router.add_get("/api/v1/runs/{id}", api.require_operator(api.get_run))
    app.router.add_post("/api/v1/runs/{id}/approve", api.require_operator(api.post_approve))
    app.router.add_post("/api/v1/runs/{id}/reject", api.require_operator(api.post_reject))
    app.router.add_get("/api/v1/pause", api.require_operator(api.get_pause))
    app.router.add_post("/api/v1/pause", api.require_operator(api.post_pause))
    app.router.add_delete("/api/v1/pause", api.require_operator(api.delete_pause))
    app.router.add_get("/api/v1/breakers", api.require_operator(api.get_breakers))
    app.router.add_delete("/api/v1/breakers/{remediation}/{target:.+}", api.require_operator(api.delete_breaker))
    app.router.add_get("/api/v1/audit", api.require_operator(api.get_audit))
    return api


class Api:
    """The handlers. Each receives the request and the operator's name."""

    def __init__(self, context: Context, tokens: BearerTokens, wake: Callable[[], None]) -> None:
        self._context = context
        self._tokens = tokens
        self._wake = wake
        self.audit_proof = AuditProof(context)

    def require_operator(self, handler: OperatorHandler, least: Role = Role.OPERATOR) -> Handler:
        """Return `handler` behind the check of the operators' tokens and roles; see OperatorGuard."""

        async def handle(request: web.Request) -> web.Response:
            role = Role.VIEWER if request.method in (hdrs.METH_GET, hdrs.METH_HEAD) else least
            return await handler(request, self.authenticate(request, role))

        return handle

    def authenticate(self, request: web.Request, least: Role = Role.OPERATOR) -> str:
        """Return the name of the operator who sends `request`, or raise the error that refuses it."""
        if not self._tokens:
            raise web.HTTPForbidden(text=NO_OPERATORS)
        name = self._tokens.authenticate(request)
        self._context.require_operator(name, least)
        return name

    async def get_runs(self, request: web.Request, _operator: str) -> web.Response:
        """Return a page of runs, newest first."""
        query = request.query
        stack, remediation = query.get("stack"), query.get("remediation")
        async with self._context.ledger.read() as connection:
            await check_run_filter(connection, self._context, stack=stack, remediation=remediation)
            page = await list_runs(
                connection,
                stack=stack,
                remediation=remediation,
                state=_parse_state(query),
                limit=parse_number(query, "limit", 100, MAX_LIMIT),
                before=parse_number(query, "before", None, None),
            )
            items = await effects.items_of(connection, [run.id for run in page.runs])
        runs_json = [run_json(run, items[run.id]) for run in page.runs]
        return web.json_response({"runs": runs_json, "next": page.next})

    async def get_run(self, request: web.Request, _operator: str) -> web.Response:
        """Return one run with its evidence and its history."""
        async with self._context.ledger.read() as connection:
            run = await find_run(connection, request)
            episode = await episodes.get(connection, run.episode)
            problem = await recurring_problem_of(connection, self._context, run)
            detail = {
                "delivered_at": rfc3339(episode.delivered_at),
                "firing_since": rfc3339(episode.firing_since),
                "alerts": episode.alert_names,
                "approved_by": run.approved_by,
                "found": run.found,
                "plan_hash": run.plan_hash,
                "settings": run.settings,
                "evidence": run.evidence,
                "history": [row_json(each) for each in await audit.history(connection, run.id)],
                "recurring": problem_json(problem) if problem is not None else None,
            }
            return web.json_response(run_json(run, await effects.items(connection, run.id)) | detail)

    async def post_approve(self, request: web.Request, operator: str) -> web.Response:
        """Approve a run and wake the engine."""
        run = await approve(self._context, parse_run_id(request), operator)
        log.info("approved", operator=operator, run=run.id)
        self._wake()
        return await self._run_response(run)

    async def post_reject(self, request: web.Request, operator: str) -> web.Response:
        """Reject a run; the body is optional and may hold a reason."""
        rejection = await read_body(request, Rejection) if request.can_read_body else Rejection()
        run = await reject(self._context, parse_run_id(request), operator, reason=rejection.reason)
        log.info("rejected", operator=operator, run=run.id)
        return await self._run_response(run)

    async def _run_response(self, run: Run) -> web.Response:
        async with self._context.ledger.read() as connection:
            return web.json_response(run_json(run, await effects.items(connection, run.id)))

    async def get_pause(self, request: web.Request, _operator: str) -> web.Response:
        """Return the pauses in force, or those that hold for one stack."""
        stack = request.query.get("stack")
        require_stack(self._context.inventory, stack)
        async with self._context.ledger.read() as connection:
            pauses = await pauses_in_force(connection, self._context)
        own = [each for each in pauses if stack is None or each["stack"] in (None, stack)]
        return web.json_response({"pauses": own})

    async def post_pause(self, request: web.Request, operator: str) -> web.Response:
        """Pause one stack, or all stacks."""
        body = await read_body(request, PauseRequest)
        identifier = await pause(self._context, body, operator)
        return web.json_response({"id": identifier, "stack": body.stack, "reason": body.reason})

    async def delete_pause(self, request: web.Request, operator: str) -> web.Response:
        """Resume one stack, or end the pauses of all stacks; the audit trail keeps the reason."""
        # A misspelled `stack` would end the pauses of all stacks.
        if unknown := sorted(request.query.keys() - {"stack", "reason"}):
            raise web.HTTPBadRequest(text=f"{unknown[0][:50]!r} is no parameter here; give stack, reason, or both\n")
        if len(request.query.getall("stack", [])) > 1:
            raise web.HTTPBadRequest(text="stack: is given twice; give one stack, or none for all\n")
        stack, reason = request.query.get("stack"), request.query.get("reason", "").strip()
        ended_count = await resume(self._context, stack, operator, reason)
        return web.json_response({"ended": ended_count})

    async def get_breakers(self, _request: web.Request, _operator: str) -> web.Response:
        """Return the open breakers."""
        async with self._context.ledger.read() as connection:
            breakers = await switches.open_breakers(connection)
        return web.json_response({"breakers": [row_json(breaker) for breaker in breakers]})

    async def delete_breaker(self, request: web.Request, operator: str) -> web.Response:
        """Close a breaker."""
        target = request.match_info["target"]
        key = EpisodeKey(target.partition("/")[0], request.match_info["remediation"], target)
        name = f"{key.remediation} on {key.target}"
        async with self._context.ledger.write() as connection:
            self._context.require_operator(operator)
            was_open = await switches.close_breaker(connection, key, self._context.clock.now(), operator)
            open_names = [f"{each.remediation} on {each.target}" for each in await switches.open_breakers(connection)]
        if not was_open:
            raise web.HTTPNotFound(text=f"no breaker of {name} is open{suggest(name, open_names, 'open are')}\n")
        log.info("breaker closed", operator=operator, remediation=key.remediation, target=key.target)
        return web.json_response({"closed": True})

    async def get_audit(self, request: web.Request, _operator: str) -> web.Response:
        """Verify the audit trail, and return the report and whether it contains the given head."""
        noted = request.query.get("head")
        if noted is not None and (mistake := audit.mistake_of_head(noted)):
            raise web.HTTPBadRequest(text=f"{mistake}\n")
        report = await self.audit_proof.verify()
        async with self._context.ledger.read() as connection:
            is_head_known = noted is not None and await audit.contains(connection, noted)
        head_fields = {"head": report.head, "first_break": report.first_break, "head_known": is_head_known}
        report_fields = {"why": report.why, "rows": report.rows, "begins_at": rfc3339(report.begins_at)}
        return web.json_response(head_fields | report_fields)


def run_json(run: Run, items: Sequence[RunItem]) -> dict[str, Any]:
    """Return a run and its items as JSON."""
    return {
        "id": run.id,
        "stack": run.stack,
        "remediation": run.remediation,
        "target": run.target,
        "state": run.state,
        "reason": run.reason,
        "episode": run.episode,
        "created_at": rfc3339(run.created_at),
        "finished_at": rfc3339(run.finished_at),
        "trigger": run.trigger,
        "requested_by": run.requested_by,
        "parameters": run.parameters or {},
        "undoes": run.undoes,
        "items": [_item_json(each) for each in items],
    }


def _item_json(run_item: RunItem) -> dict[str, Any]:
    return {
        "identity": dict(run_item.item.identity),
        "evidence": dict(run_item.item.evidence),
        "state": run_item.state,
        "detail": run_item.detail,
    }


async def pauses_in_force(connection: AsyncConnection, context: Context) -> list[dict[str, Any]]:
    """Return the operators' pauses, and that of the pause file, which has no number."""
    pauses = [row_json(each) for each in await switches.active_pauses(connection, context.clock.now())]
    file = read_pause_file(context.pause_file)
    if file is not None:
        pauses.append({"id": None, "stack": None, "reason": file, "begun_at": None, "begun_by": None, "until": None})
    return pauses


def row_json(row: ActivePause | OpenBreaker | RunEvent) -> dict[str, Any]:
    """Return a row of the ledger as JSON."""
    return {name: rfc3339(value) if isinstance(value, datetime) else value for name, value in asdict(row).items()}


async def find_run(connection: AsyncConnection, request: web.Request) -> Run:
    """Return the run whose number is in the path.

    Raises:
        NoSuchRun: there is none.
    """
    run = await runs.get_or_none(connection, parse_run_id(request))
    if run is None:
        raise NoSuchRun(f"there is no run {request.match_info['id']}")
    return run


def parse_run_id(request: web.Request) -> int:
    """Return the run number in the path.

    Raises:
        NoSuchRun: it is not a number.
    """
    text = request.match_info["id"]
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise NoSuchRun(f"there is no run {text[:50]!r}; give a number")
    return int(text)


def _parse_state(query: Mapping[str, str]) -> RunState | None:
    if "state" not in query:
        return None
    try:
        return RunState(query["state"])
    except ValueError:
        raise web.HTTPBadRequest(text=f"state must be one of {', '.join(RunState)}\n") from None


def parse_number(query: Mapping[str, str], name: str, default: int | None, maximum: int | None) -> Any:
    """Return a whole number of the query, at most `maximum`."""
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 19) or int(text) < 1:
        raise web.HTTPBadRequest(text=f"{name} must be a whole number from 1, not {text[:50]!r}\n")
    return min(int(text), maximum) if maximum else int(text)
