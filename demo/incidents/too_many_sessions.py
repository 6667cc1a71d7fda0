"""Incident d: far more sessions hang than the remediation may touch. That is no stuck session, it is an outage: people
decide, and nothing is touched.
"""

from demo.incidents import held
from demo.incidents.base import STACK, Facts, Incident, Injection, Proof, concerns, judge, notified_since
from demo.metrics import Page
from demo.polling import poll
from demo.running import Demo

NAME = "too_many_sessions"
HOLDING = 40
GIVE_UP_SECONDS = 90
ESCALATION_SECONDS = 10


async def _inject(demo: Demo) -> Facts:
    return await held.hold(demo, NAME, HOLDING, waiting=0, close_after=GIVE_UP_SECONDS)


def _seen(page: Page) -> bool:
    return page.total("pg_connections", stack=STACK, state="idle in transaction") >= HOLDING


async def _told(demo: Demo, injection: Injection) -> bool:
    """Whether people were told, and told why."""

    async def told() -> bool:
        lines = notified_since(demo.places, injection.at)
        return any(line["channel"] == "escalations" and "max_items" in str(line["message"]) for line in lines)

    return await poll(told, bool, ESCALATION_SECONDS)


async def _prove(demo: Demo, injection: Injection) -> Proof:
    told = await _told(demo, injection)
    runs = await demo.runs(TOO_MANY_SESSIONS.remediation)
    since = [run for run in runs if concerns(run, TOO_MANY_SESSIONS, injection)]
    touched = [item for run in since for item in run["items"] if item["state"] != "planned"]
    facts = {
        "sessions": HOLDING,
        "sessions_alive": await held.alive(demo, injection.facts["holding"]),
        "sessions_lost": (await held.read(demo.places, NAME))["lost"],
        "items_touched": len(touched),
        "people_told": told,
    }
    return judge(
        facts,
        every_session_is_alive=facts["sessions_alive"] == HOLDING and not facts["sessions_lost"],
        nothing_was_touched=not touched,
        people_were_told_why=told,
    )


async def _clear(demo: Demo) -> None:
    await held.close(demo, NAME)


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
