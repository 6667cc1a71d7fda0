"""Incident b: an upstream fails, its jobs fail for good, and the upstream recovers."""

from collections.abc import Callable
from typing import Any

from demo.errors import DemoNotReady
from demo.incidents.base import STACK, Incident, IncidentProof, Injection, InjectionFacts, check_claims
from demo.metrics import ExporterPage
from demo.polling import poll
from demo.product.jobs import QUEUE
from demo.running import Demo

NAME = "failed_jobs"
JOBS = 20
FAIL_SECONDS = 15
FINISH_SECONDS = 10


async def _switch(demo: Demo, state: str) -> None:
    async with demo.http.put(demo.ports.url("upstream") + "/switch", params={"state": state}) as answer:
        answer.raise_for_status()


async def _jobs(demo: Demo, ids: list[str]) -> list[dict[str, Any]]:
    answer = await demo.get("jobs", "/jobs", ids=",".join(ids))
    jobs: list[dict[str, Any]] = answer["jobs"]
    return jobs


def _all_in(state: str) -> Callable[[list[dict[str, Any]]], bool]:
    return lambda jobs: all(job["state"] == state for job in jobs)


async def _inject(demo: Demo) -> InjectionFacts:
    await _switch(demo, "off")
    try:
        ids: list[str] = (await demo.post("jobs", "/jobs", count=str(JOBS)))["ids"]
        jobs = await poll(lambda: _jobs(demo, ids), _all_in("failed"), FAIL_SECONDS)
    finally:
        await _switch(demo, "on")
    if not _all_in("failed")(jobs):
        raise DemoNotReady(f"the jobs did not fail within {FAIL_SECONDS} s; check the log of the part `jobs`")
    return {"ids": ids}


def _seen(page: ExporterPage) -> bool:
    return page.total("bullmq_queue_jobs", stack=STACK, queue=QUEUE, state="failed") >= JOBS


async def _prove(demo: Demo, injection: Injection) -> IncidentProof:
    jobs = await poll(lambda: _jobs(demo, injection.facts["ids"]), _all_in("completed"), FINISH_SECONDS)
    facts = {
        "jobs": len(jobs),
        "completed_by_the_workers": sum(job["state"] == "completed" for job in jobs),
        "started_twice": sum(job.get("attempts") == 2 for job in jobs),
    }
    return check_claims(
        facts,
        the_workers_completed_every_job=facts["completed_by_the_workers"] == JOBS,
        every_job_was_retried_exactly_once=facts["started_twice"] == JOBS,
    )


FAILED_JOBS = Incident(
    letter="b",
    name=NAME,
    story=f"{JOBS} jobs fail during an outage of their upstream",
    remediation="retry_failed_jobs",
    target=f"shop/queues/jobs/{QUEUE}",
    alert={"alertname": "QueueFailedJobs", "stack": STACK, "target": "jobs", "queue": QUEUE},
    expected="fixed",
    inject=_inject,
    seen=_seen,
    prove=_prove,
)
