"""Incident a: sessions that are idle in transaction lock rows that others need."""

from demo.incidents import session_process
from demo.incidents.base import STACK, Incident, IncidentProof, Injection, InjectionFacts, check_claims
from demo.metrics import ExporterPage
from demo.running import Demo

NAME = "idle_transactions"
HOLDING = 4
WAITING = 6
GIVE_UP_SECONDS = 150


async def _stock(demo: Demo) -> InjectionFacts:
    async with demo.database() as connection:
        row = await connection.fetchrow(
            "SELECT sum(quantity) AS quantity, sum(reserved) AS reserved FROM stock WHERE sku <= $1", HOLDING
        )
    assert row is not None
    return dict(row)


async def _inject(demo: Demo) -> InjectionFacts:
    return {**await _stock(demo), **await session_process.start_sessions(demo, NAME, HOLDING, WAITING, GIVE_UP_SECONDS)}


def _seen(page: ExporterPage) -> bool:
    return page.largest("pg_idle_in_transaction_max_age_seconds", stack=STACK) > 0 and (
        page.largest("pg_sessions_blocked", stack=STACK) > 0
    )


async def _prove(demo: Demo, injection: Injection) -> IncidentProof:
    status = await session_process.wait_for_end(demo.paths, NAME)
    after = await _stock(demo)
    facts = {
        "sessions_ended": status["lost"],
        "sessions_still_holding": await session_process.count_alive(demo, injection.facts["holding"]),
        "blocked_sessions_finished": status["through"],
        "errors_of_blocked_sessions": status["failed"],
    }
    return check_claims(
        facts,
        every_holding_session_was_ended=facts["sessions_ended"] == HOLDING and not facts["sessions_still_holding"],
        every_blocked_session_finished=status["through"] == WAITING and not status["failed"],
        the_blocked_work_was_done_once=injection.facts["quantity"] - after["quantity"] == WAITING,
        the_work_of_the_ended_sessions_was_rolled_back=after["reserved"] == injection.facts["reserved"],
    )


async def _clear(demo: Demo) -> None:
    await session_process.stop_sessions(demo, NAME)


IDLE_TRANSACTIONS = Incident(
    letter="a",
    name=NAME,
    story=f"{HOLDING} sessions are idle in transaction and block {WAITING} others",
    remediation="terminate_idle_transactions",
    target="shop/postgres/main",
    alert={"alertname": "IdleInTransactionTooLong", "stack": STACK, "target": "main"},
    expected="fixed",
    inject=_inject,
    seen=_seen,
    prove=_prove,
    clear=_clear,
)
