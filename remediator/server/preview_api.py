"""`/api/v1/plan`, `…/runs/ID/why` and `/api/v1/simulate`: what would be done now, and which bound stands in the way.

They read targets with the remediator's rights, so they want an operator's token; they do nothing and record nothing.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

from aiohttp import web

from remediator.bounds.bounds import DEFERRALS, REFUSALS, Decision, Facts
from remediator.bounds.explain import MEASURES
from remediator.context import World
from remediator.escalation.advice import what_next
from remediator.ledger import runs
from remediator.model.clock import rfc3339
from remediator.model.delivery import parse_delivery
from remediator.model.episode_key import Key
from remediator.model.errors import MalformedDelivery, NoSuchRun
from remediator.model.target import find
from remediator.server.dry_run import Preview, preview_of, simulate
from remediator.server.operator_api import identifier_of, run_json

Guarded = Callable[[Callable[[web.Request, str], Awaitable[web.Response]]], Any]


def add_preview_routes(app: web.Application, world: World, guarded: Guarded) -> None:
    """Add the three routes; `guarded` puts the operators' tokens before a handler."""
    app.router.add_get("/api/v1/plan", guarded(_plan(world)))
    app.router.add_get("/api/v1/runs/{id}/why", guarded(_why(world)))
    app.router.add_post("/api/v1/simulate", guarded(_simulate(world)))


def _plan(world: World) -> Callable[[web.Request, str], Awaitable[web.Response]]:
    async def handle(request: web.Request, _operator: str) -> web.Response:
        remediation, target = request.query.get("remediation", ""), request.query.get("target", "")
        key = Key(target.partition("/")[0], remediation, target)
        found = find(world.inventory, world.remediations, key)
        if isinstance(found, str):
            raise web.HTTPNotFound(text=f"{found}\n")
        if str(found.target) != target:
            raise web.HTTPNotFound(text=f"{remediation} works on {found.target}, not on {target!r}\n")
        return web.json_response(_shown(await preview_of(world, key)))

    return handle


def _why(world: World) -> Callable[[web.Request, str], Awaitable[web.Response]]:
    async def handle(request: web.Request, _operator: str) -> web.Response:
        async with world.ledger.read() as connection:
            run = await runs.find(connection, identifier_of(request))
            if run is None:
                raise NoSuchRun(f"there is no run {request.match_info['id']}")
            items = await runs.items(connection, run.id)
        now = await preview_of(world, Key(run.stack, run.remediation, run.target))
        answer = {
            "run": run_json(run, items),
            "bounds": run.evidence.get("bounds", {"refused_by": {}, "deferred_by": {}}),
            "error": run.evidence.get("error"),
            "not_before": rfc3339(run.not_before),
            "expires_at": rfc3339(run.expires_at),
            "what_next": what_next(run),
            "now": _shown(now),
        }
        return web.json_response(answer)

    return handle


def _simulate(world: World) -> Callable[[web.Request, str], Awaitable[web.Response]]:
    async def handle(request: web.Request, _operator: str) -> web.Response:
        try:
            delivery = parse_delivery(await request.read())
            previews = await simulate(world, delivery)
        except MalformedDelivery as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from None
        ignored = sum("remediation" not in alert.labels for alert in delivery.alerts)
        shown = [_shown(each) for each in previews]
        return web.json_response({"alerts": len(delivery.alerts), "without_remediation": ignored, "episodes": shown})

    return handle


def _shown(preview: Preview) -> dict[str, Any]:
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
        "bounds": _bounds(preview.decision, preview.facts),
        "numbers": _numbers(preview.facts),
    }


def _bounds(decision: Decision | None, facts: Facts | None) -> list[dict[str, Any]]:
    """Every bound with its numbers, in the order in which they win; those that stop say until when."""
    if decision is None or facts is None:
        return []
    hits = decision.refusals | decision.deferrals
    return [
        {
            "bound": name,
            "then": "refuse" if name in REFUSALS else "defer",
            "stops": name in hits,
            "detail": hits[name].detail if name in hits else MEASURES[name](facts),
            "until": rfc3339(hits[name].until) if name in hits else None,
        }
        for name in (*REFUSALS, *DEFERRALS)
    ]


def _numbers(facts: Facts | None) -> Mapping[str, Any]:
    """What the bounds have judged: each number beside its limit; null is no limit, or not known."""
    if facts is None:
        return {}
    settings = facts.settings
    return {
        "items": {"found": facts.found, "max_items": facts.max_items, "batch": settings.batch},
        "share": {"found": facts.found, "of": facts.population, "max_share": settings.max_share},
        "runs_last_hour": {
            "remediation": [len(facts.admitted_here), settings.max_runs_per_hour],
            "stack": [len(facts.admitted_stack), facts.stack_limits.max_runs_per_hour],
            "all": [len(facts.admitted_all), facts.limits.max_runs_per_hour],
        },
        "under_way": {
            "stack": [facts.active_stack, facts.stack_limits.concurrency],
            "all": [facts.active, facts.limits.concurrency],
        },
        "firing_seconds": _seconds(facts.now - facts.firing_since),
        "min_firing_seconds": settings.min_firing.total_seconds(),
        "confirmed_seconds_ago": _seconds(facts.now - facts.confirmed_at),
        "max_alert_age_seconds": _max_alert_age(facts).total_seconds(),
        "last_run_ended_at": rfc3339(facts.last_admitted_end),
        "cooldown_seconds": settings.cooldown.total_seconds(),
    }


def _max_alert_age(facts: Facts) -> timedelta:
    own = facts.stack_limits.max_alert_age
    return facts.limits.max_alert_age if own is None else own


def _seconds(span: timedelta) -> float:
    return round(span.total_seconds(), 3)
