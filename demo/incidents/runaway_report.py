"""Incident e: a report never ends."""

import json
from typing import Any

from demo.errors import DemoNotReady
from demo.incidents.base import STACK, Incident, IncidentProof, Injection, InjectionFacts, check_claims
from demo.launch import python_module
from demo.metrics import ExporterPage
from demo.paths import DemoPaths
from demo.polling import poll
from demo.running import Demo
from demo.servers.process import Process

NAME = "runaway_report"
READY_SECONDS = 20
SETTLE_SECONDS = 5
OLD_SECONDS = 5


async def _read_status(paths: DemoPaths) -> dict[str, Any]:
    file = paths.incidents / f"{NAME}.status"
    return json.loads(file.read_text("utf-8")) if file.exists() else {}


async def _inject(demo: Demo) -> InjectionFacts:
    file = demo.paths.incidents / f"{NAME}.status"
    file.unlink(missing_ok=True)
    part = Process(demo.paths.part(NAME), NAME)
    secret = demo.paths.secrets / "postgres_product"
    part.launch(python_module("demo.incidents.report", str(secret), str(file), cwd=part.folder))
    status = await poll(lambda: _read_status(demo.paths), bool, READY_SECONDS)
    if not status:
        raise DemoNotReady(f"the report did not begin within {READY_SECONDS} s; see {part.log}")
    return status


def _seen(page: ExporterPage) -> bool:
    return page.largest("pg_query_max_age_seconds", stack=STACK) > OLD_SECONDS


async def _prove(demo: Demo, _injection: Injection) -> IncidentProof:
    status = await poll(lambda: _read_status(demo.paths), lambda status: "ended" in status, SETTLE_SECONDS)
    return check_claims(
        status,
        the_report_was_cancelled=status.get("ended") == "cancelled",
        its_session_lives=status.get("session_lives") is True,
    )


RUNAWAY_REPORT = Incident(
    letter="e",
    name=NAME,
    story="a report that never ends",
    remediation="cancel_long_queries",
    target="shop/postgres/main",
    alert={"alertname": "LongRunningQuery", "stack": STACK, "target": "main"},
    expected="fixed",
    inject=_inject,
    seen=_seen,
    prove=_prove,
)
