"""Incident f: a service leaks until it dies for want of memory. Its alert waits for two minutes, as in production."""

import json
from typing import Any

from demo.errors import DemoNotReady
from demo.incidents.base import STACK, Incident, IncidentProof, Injection, InjectionFacts, check_claims
from demo.metrics import ExporterPage
from demo.polling import poll
from demo.product.supervisor import STATE_FILE
from demo.running import Demo

NAME = "leaking_service"
DIE_SECONDS = 15
HEALTHY_SECONDS = 10


async def _state(demo: Demo) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((demo.paths.part("mailer") / STATE_FILE).read_text(encoding="utf-8"))
    return state


async def _inject(demo: Demo) -> InjectionFacts:
    before = await _state(demo)
    async with demo.http.put(demo.ports.url("mailer") + "/leak") as answer:
        answer.raise_for_status()
    after = await poll(lambda: _state(demo), lambda state: state["state"] == "failed", DIE_SECONDS)
    if after["state"] != "failed":
        raise DemoNotReady(f"the service did not die within {DIE_SECONDS} s; check the log of the part `mailer`")
    return {"pid": before["pid"], "started": before["started"]}


def _seen(page: ExporterPage) -> bool:
    return page.largest("probe_success", stack=STACK, target="mailer") == 0


async def _prove(demo: Demo, injection: Injection) -> IncidentProof:
    now = await poll(lambda: _state(demo), lambda state: state["state"] == "running", HEALTHY_SECONDS)
    async with demo.http.get(demo.ports.url("mailer") + "/healthy") as answer:
        healthy = answer.status == 200
    return check_claims(
        {"pid_before": injection.facts["pid"], "pid_now": now["pid"], "restarts": now["restarts"]},
        another_process_runs=now["pid"] != injection.facts["pid"] and now["state"] == "running",
        it_was_restarted_once=now["restarts"] == 1,
        it_answers=healthy,
    )


LEAKING_SERVICE = Incident(
    letter="f",
    name=NAME,
    story="a service leaks until it dies for want of memory",
    remediation="restart_service",
    target="shop/services/mailer",
    alert={"alertname": "ProcessDown", "stack": STACK, "target": "mailer"},
    expected="fixed",
    inject=_inject,
    seen=_seen,
    prove=_prove,
)
