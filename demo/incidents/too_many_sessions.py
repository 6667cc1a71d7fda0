"""Incident d: far more sessions hang than the remediation may touch.

That is an outage, not a stuck session: the remediator touches nothing and escalates.
"""

from demo.incidents import session_process
from demo.incidents.base import (
    STACK,
    Incident,
    IncidentProof,
    Injection,
    InjectionFacts,
    check_claims,
    concerns,
    notifications_since,
)
from demo.metrics import ExporterPage
from demo.polling import poll
from demo.running import Demo

NAME = "too_many_sessions"
HOLDING = 40
GIVE_UP_SECONDS = 90
ESCALATION_SECONDS = 10


async def _inject(demo: Demo) -> InjectionFacts:
    return await session_process.start_sessions(demo, NAME, HOLDING, waiting=0, close_after=GIVE_UP_SECONDS)


def _seen(page: ExporterPage) -> bool:
    return page.total("pg_connections", stack=STACK, state="idle in transaction") >= HOLDING


async def _was_escalated(demo: Demo, injection: Injection) -> bool:
    """Return whether an escalation with the reason was delivered."""

    async def escalated() -> bool:
        lines = notifications_since(demo.paths, injection.at)
        return any(line["channel"] == "escalations" and "max_items" in str(line["message"]) for line in lines)

    return await poll(escalated, bool, ESCALATION_SECONDS)


async def _prove(demo: Demo, injection: Injection) -> IncidentProof:
    escalated = await _was_escalated(demo, injection)
    runs = await demo.runs(TOO_MANY_SESSIONS.remediation)
    runs_since = [run for run in runs if concerns(run, TOO_MANY_SESSIONS, injection)]
    touched_items = [item for run in runs_since for item in run["items"] if item["state"] != "planned"]
    facts = {
        "sessions": HOLDING,
        "sessions_alive": await session_process.count_alive(demo, injection.facts["holding"]),
        "sessions_lost": (await session_process.read_session_status(demo.paths, NAME))["lost"],
        "items_touched": len(touched_items),
        "people_told": escalated,
    }
    return check_claims(
        facts,
        every_session_is_alive=facts["sessions_alive"] == HOLDING and not facts["sessions_lost"],
        nothing_was_touched=not touched_items,
        an_escalation_gave_the_reason=escalated,
    )


async def _clear(demo: Demo) -> None:
    await session_process.stop_sessions(demo, NAME)


TOO_MANY_SESSIONS = Incident(
    letter="d",
    name=NAME,
    story=f"{HOLDING} sessions are idle in transaction, far more than max_items",
    remediation="terminate_idle_transactions",
    target="shop/postgres/main",
    alert={"alertname": "IdleInTransactionTooLong", "stack": STACK, "target": "main"},
    expected="refused",
    inject=_inject,
    seen=_seen,
    prove=_prove,
    clear=_clear,
)
