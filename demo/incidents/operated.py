"""Incidents i to l: an operator's work on queues and caches, which no alert may start by itself.

Each injects its fault and starts the remediation as an operator does; the run asks, shows its plan, and is confirmed.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis

from demo.incidents.base import Incident, IncidentProof, Injection, InjectionFacts, check_claims
from demo.metrics import ExporterPage
from demo.polling import poll
from demo.product.jobs import QUEUE
from demo.running import Demo

REDIS = "shop/redis/main"
DEAD_LETTERS = f"{QUEUE}-dlq"
DEAD, CACHED = 12, 500
RUN_SECONDS = 60
UNDER_WAY = frozenset({"planned", "prechecked", "deferred", "awaiting_approval", "admitted", "executing", "verifying"})
ADDRESS, CUSTOMER = "1.2.3.4", "customer-7"


@asynccontextmanager
async def product_redis(demo: Demo) -> AsyncIterator[Redis]:
    """Yield a client with the rights of the product."""
    client = Redis.from_url(demo.paths.secret("redis_product"), decode_responses=True)
    try:
        yield client
    finally:
        await client.aclose()


async def end_of(demo: Demo, injection: Injection) -> Mapping[str, Any]:
    """Return the run that the incident has started, once it has ended."""
    number = injection.facts["run"]
    return await poll(lambda: demo.run(number), lambda run: run["state"] not in UNDER_WAY, RUN_SECONDS)


def not_by_alert(_page: ExporterPage) -> bool:
    """Return that nothing has to show: the operator knows."""
    return True


async def _inject_dead_letters(demo: Demo) -> InjectionFacts:
    ids = (await demo.post("jobs", "/dead-letters", count=str(DEAD)))["ids"]
    return {"ids": ids, "run": await demo.start("archive_dead_letters", f"shop/queues/jobs/{QUEUE}")}


async def _prove_dead_letters(demo: Demo, injection: Injection) -> IncidentProof:
    run = await end_of(demo, injection)
    archives = sorted(demo.paths.dead_letters.glob("*.jsonl"))
    archived = archives[-1].read_text("utf-8").count("\n") - 1 if archives else 0
    async with product_redis(demo) as redis:
        left = await redis.llen(f"bull:{DEAD_LETTERS}:wait")
    return check_claims(
        {"run": run["state"], "archived": archived, "left": left},
        the_run_succeeded=run["state"] == "succeeded",
        every_dead_letter_is_in_the_archive=archived == DEAD,
        none_is_left_in_the_queue=left == 0,
    )


async def _inject_stale_cache(demo: Demo) -> InjectionFacts:
    async with product_redis(demo) as redis:
        await redis.mset({f"oauth:token {number}": "stale" for number in range(CACHED)})
    return {"run": await demo.start("unlink_prefix", REDIS)}


async def _prove_stale_cache(demo: Demo, injection: Injection) -> IncidentProof:
    run = await end_of(demo, injection)
    async with product_redis(demo) as redis:
        left = await redis.exists(*(f"oauth:token {number}" for number in range(CACHED)))
        queue = await redis.exists(f"bull:{QUEUE}:meta")
    return check_claims(
        {"run": run["state"], "left": left},
        the_run_succeeded=run["state"] == "succeeded",
        no_cached_key_is_left=left == 0,
        the_queues_are_untouched=queue == 1,
    )


async def _inject_locked_out(demo: Demo) -> InjectionFacts:
    async with product_redis(demo) as redis:
        await redis.set(f"rl:user:{CUSTOMER}", 120, ex=900)
        await redis.set("rl:user:customer-8", 5, ex=900)
    return {"run": await demo.start("reset_rate_limit", REDIS, subject=CUSTOMER)}


async def _prove_locked_out(demo: Demo, injection: Injection) -> IncidentProof:
    run = await end_of(demo, injection)
    async with product_redis(demo) as redis:
        mine, other = await redis.mget(f"rl:user:{CUSTOMER}", "rl:user:customer-8")
    return check_claims(
        {"run": run["state"]},
        the_run_succeeded=run["state"] == "succeeded",
        the_counter_is_gone=mine is None,
        other_counters_are_untouched=other == "5",
    )


async def _inject_abuse(demo: Demo) -> InjectionFacts:
    return {"run": await demo.start("block_address", REDIS, **{"address": ADDRESS, "for": "5m"})}


async def _prove_abuse(demo: Demo, injection: Injection) -> IncidentProof:
    run = await end_of(demo, injection)
    async with product_redis(demo) as redis:
        seconds = await redis.ttl(f"blocked:ip:{ADDRESS}")
    return check_claims(
        {"run": run["state"], "blocked_for": seconds},
        the_run_succeeded=run["state"] == "succeeded",
        the_block_ends_by_itself=0 < seconds <= 300,
    )


async def _clear_abuse(demo: Demo) -> None:
    async with product_redis(demo) as redis:
        await redis.delete(f"blocked:ip:{ADDRESS}")


DEAD_LETTERS_LEFT = Incident(
    letter="i",
    name="dead_letters",
    story=f"{DEAD} jobs lie in the dead-letter queue; archive_dead_letters is started",
    remediation="archive_dead_letters",
    target=f"shop/queues/jobs/{QUEUE}",
    alert={"alertname": "QueueDLQJobsPresent", "stack": "shop", "target": "jobs", "queue": QUEUE},
    expected="fixed",
    inject=_inject_dead_letters,
    seen=not_by_alert,
    prove=_prove_dead_letters,
)
STALE_CACHE = Incident(
    letter="j",
    name="stale_cache",
    story=f"{CACHED} cached tokens are stale; unlink_prefix is started",
    remediation="unlink_prefix",
    target=REDIS,
    alert={},
    expected="fixed",
    inject=_inject_stale_cache,
    seen=not_by_alert,
    prove=_prove_stale_cache,
)
LOCKED_OUT_USER = Incident(
    letter="k",
    name="locked_out_user",
    story="a rate limit locks a customer out by mistake; reset_rate_limit is started",
    remediation="reset_rate_limit",
    target=REDIS,
    alert={},
    expected="fixed",
    inject=_inject_locked_out,
    seen=not_by_alert,
    prove=_prove_locked_out,
)
ABUSIVE_ADDRESS = Incident(
    letter="l",
    name="abusive_address",
    story="one address abuses the shop; block_address is started for five minutes",
    remediation="block_address",
    target=REDIS,
    alert={},
    expected="fixed",
    inject=_inject_abuse,
    seen=not_by_alert,
    prove=_prove_abuse,
    clear=_clear_abuse,
)
