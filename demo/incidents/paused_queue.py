"""Incident m: the mail server is down for a while, so an operator pauses its queue, with an end."""

from redis.asyncio import Redis

from demo.incidents.base import Incident, IncidentProof, Injection, InjectionFacts, check_claims
from demo.incidents.operated import end_of, not_by_alert, product_redis
from demo.polling import poll
from demo.product.jobs import QUEUE
from demo.running import Demo

TARGET = f"shop/queues/jobs/{QUEUE}"
PAUSE, END_SECONDS = "10s", 30


async def _inject(demo: Demo) -> InjectionFacts:
    return {"run": await demo.start("pause_queue", TARGET, **{"for": PAUSE})}


async def _prove(demo: Demo, injection: Injection) -> IncidentProof:
    run = await end_of(demo, injection)
    async with product_redis(demo) as redis:
        await poll(lambda: _is_paused(redis), lambda paused: not paused, END_SECONDS)
    undos = [each for each in await demo.runs("pause_queue") if each["undoes"] == run["id"]]
    return check_claims(
        {"run": run["state"], "undone_by": [each["id"] for each in undos]},
        the_run_succeeded=run["state"] == "succeeded",
        the_queue_was_paused=run["evidence"]["proof"]["state"] == "paused",
        one_run_of_its_own_has_resumed_it=len(undos) == 1,
    )


async def _is_paused(redis: Redis) -> bool:
    return bool(await redis.hexists(f"bull:{QUEUE}:meta", "paused"))


PAUSED_QUEUE = Incident(
    letter="m",
    name="paused_queue",
    story=f"the mail server is down; pause_queue is started for {PAUSE}, and ends by itself",
    remediation="pause_queue",
    target=TARGET,
    alert={},
    expected="fixed",
    inject=_inject,
    seen=not_by_alert,
    prove=_prove,
)
