"""`/api/v1/plan`, `…/runs/ID/why` and `/api/v1/simulate`: previews of decisions, and the bounds that block them.

They read targets with the remediator's rights, so they need an operator's token; they do nothing and record nothing.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from remediator.bounds.bounds import REFUSALS, Decision
from remediator.bounds.facts import BoundFacts
from remediator.bounds.numbers import numbers_of
from remediator.context import Context
from remediator.escalation.advice import what_next
from remediator.ledger import effects
from remediator.model.clock import rfc3339
from remediator.model.delivery import parse_delivery
from remediator.model.episode_key import EpisodeKey
from remediator.model.errors import MalformedDelivery
from remediator.model.target import ResolvedTarget, UnresolvedTarget, canonical_target, resolve_target
from remediator.server.dry_run import Preview, preview_episode, simulate
from remediator.server.operator_api import OperatorGuard, find_run, run_json


def add_preview_routes(app: web.Application, context: Context, require_operator: OperatorGuard) -> None:
    """Add the three routes; `require_operator` guards a handler with the operators' tokens."""
    app.router.add_get("/api/v1/plan", require_operator(_plan_handler(context)))
    app.router.add_get("/api/v1/runs/{id}/why", require_operator(_why_handler(context)))
    app.router.add_post("/api/v1/simulate", require_operator(_simulate_handler(context)))


def _plan_handler(context: Context) -> Callable[[web.Request, str], Awaitable[web.Response]]:
    async def handle(request: web.Request, _operator: str) -> web.Response:
        remediation, target = request.query.get("remediation", ""), request.query.get("target", "")
        if remediation in context.remediations:
            target = canonical_target(context.remediations[remediation], target)
        key = EpisodeKey(target.partition("/")[0], remediation, target)
        match resolve_target(context.inventory, context.remediations, key):
            case UnresolvedTarget(detail):
                raise web.HTTPNotFound(text=f"{detail}\n")
            case ResolvedTarget(name=name) if str(name) != target:
                raise web.HTTPNotFound(text=f"{remediation} works on {name}, not on {target!r}\n")
        return web.json_response(_preview_json(await preview_episode(context, key)))

    return handle


def _why_handler(context: Context) -> Callable[[web.Request, str], Awaitable[web.Response]]:
    async def handle(request: web.Request, _operator: str) -> web.Response:
        async with context.ledger.read() as connection:
            run = await find_run(connection, request)
            items = await effects.items(connection, run.id)
        preview = await preview_episode(context, EpisodeKey(run.stack, run.remediation, run.target))
        body = {
            "run": run_json(run, items),
            "bounds": run.evidence.get("bounds", {"refused_by": {}, "deferred_by": {}}),
            "error": run.evidence.get("error"),
            "not_before": rfc3339(run.not_before),
            "expires_at": rfc3339(run.expires_at),
            "what_next": what_next(run),
            "now": _preview_json(preview),
        }
        return web.json_response(body)

    return handle


def _simulate_handler(context: Context) -> Callable[[web.Request, str], Awaitable[web.Response]]:
    async def handle(request: web.Request, _operator: str) -> web.Response:
        try:
            delivery = parse_delivery(await request.read())
            previews = await simulate(context, delivery)
        except MalformedDelivery as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from None
        ignored_count = sum("remediation" not in alert.labels for alert in delivery.alerts)
        episodes = [_preview_json(each) for each in previews]
        return web.json_response(
            {"alerts": len(delivery.alerts), "without_remediation": ignored_count, "episodes": episodes}
        )

    return handle


def _preview_json(preview: Preview) -> dict[str, Any]:
    plan = preview.plan
    return {
        "stack": preview.key.stack,
        "remediation": preview.key.remediation,
        "target": preview.key.target,
        "mode": preview.mode,
        "would": preview.would,
        "reason": preview.reason,
        "detail": preview.detail,
        "found": plan.found if plan else None,
        "items": [{"identity": dict(item.identity), "evidence": dict(item.evidence)} for item in plan.items]
        if plan
        else [],
        "evidence": dict(plan.evidence) if plan else {},
        "bounds": bounds_json(preview.decision),
        "numbers": numbers_json(preview.facts),
    }


def bounds_json(decision: Decision | None) -> list[dict[str, Any]]:
    """Return every bound with its numbers, by precedence; stopping bounds carry `until`."""
    return [
        {
            "bound": name,
            "then": "refuse" if name in REFUSALS else "defer",
            "stops": judgement.stops,
            "detail": judgement.detail,
            "until": rfc3339(judgement.until) if judgement.stops else None,
        }
        for name, judgement in (decision.judgements.items() if decision is not None else ())
    ]


def numbers_json(facts: BoundFacts | None) -> Mapping[str, Any]:
    """Return each judged number beside its limit; empty if nothing was judged."""
    return {} if facts is None else numbers_of(facts)
