"""The server of benchmarks.webhook: the real application with a dummy remediation."""

import argparse
import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from signal import SIGTERM
from time import monotonic
from typing import Any

from aiohttp import web

from remediator.app import create_application
from remediator.context import Context
from remediator.ledger.address import ledger_at
from remediator.model.clock import SystemClock
from remediator.model.permanent_fix import Fix
from remediator.model.remediation import (
    EffectOutcome,
    Item,
    ItemState,
    PermanentFix,
    Plan,
    Remediation,
    Scope,
    Undo,
    Verdict,
)
from remediator.server.bearer_tokens import BearerTokens
from runbookd.inventory import Inventory
from runbookd.service.logs import configure_logs

REMEDIATION = "touch"
SHADOW_STACK, AUTO_STACK = "watched", "touched"  # the modes are shadow and auto
TARGETS = [f"db{number}" for number in range(50)]


class TouchSession:
    """A session that prints the time at which it touches its target."""

    effect_timeout = timedelta(seconds=5)

    async def plan(self) -> Plan:
        """Return a plan with one item."""
        return Plan((Item({"name": "it"}),), 1)

    async def apply(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        """Print the time, and report each item as applied."""
        print(monotonic(), flush=True)
        return [EffectOutcome(ItemState.APPLIED)] * len(items)

    async def resolve_outcome(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        """Report each outcome as unknown."""
        return [EffectOutcome(ItemState.UNKNOWN)] * len(items)

    async def verify(self, items: Sequence[Item]) -> Verdict:  # noqa: ARG002
        """Report success."""
        return Verdict(True)


@asynccontextmanager
async def open_session(_: Scope) -> AsyncIterator[TouchSession]:
    """Yield a session."""
    yield TouchSession()


def inventory() -> Inventory:
    """Return both stacks, with bounds wide enough that no run is deferred."""
    most = 1_000_000
    limits = {"max_runs_per_hour": most, "concurrency": 4, "storm": {"targets": most, "alerts": most}}
    stacks = {SHADOW_STACK: stack("shadow", most), AUTO_STACK: stack("auto", most)}
    return Inventory.model_validate({"limits": limits, "stacks": stacks})


def stack(mode: str, most: int) -> dict[str, Any]:
    """Return a stack in the format of the inventory."""
    settings = {"mode": mode, "max_runs_per_hour": most, "settle": "0s", "cooldown": "1h"}
    return {
        "limits": {"max_runs_per_hour": most},
        "postgres": {name: {"dsn": "postgresql://127.0.0.1:1/none"} for name in TARGETS},
        "remediations": {REMEDIATION: settings},
    }


async def serve(folder: Path, ledger_url: str) -> None:
    """Serve until SIGTERM, and end as the daemon does."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(SIGTERM, stopped.set)
    no_undo, no_fix = Undo("none", "It touches nothing."), PermanentFix(lambda *_: Fix("Nothing is to be fixed."))
    touch = Remediation(REMEDIATION, "postgres", frozenset(), 1, False, open_session, no_undo, permanent_fix=no_fix)
    context = Context(inventory(), ledger_at(ledger_url), SystemClock(), {REMEDIATION: touch}, None)
    app = create_application(context, BearerTokens({"bench": folder / "token"}, "{}"))
    app.router.add_post("/floor", floor)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await stopped.wait()
    await runner.cleanup()


async def floor(request: web.Request) -> web.Response:
    """Answer without any work, to measure the cost of HTTP alone."""
    await request.read()
    return web.Response(text="accepted\n")


if __name__ == "__main__":
    configure_logs("warning")
    parser = argparse.ArgumentParser(prog="python -m benchmarks.webhook_server", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("ledger", nargs="?", help="address of the ledger; default: a SQLite file in the folder")
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.folder, arguments.ledger or f"sqlite:///{arguments.folder}/ledger.db"))
