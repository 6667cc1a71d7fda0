"""A real Chromium on the console of a real application: its ledger, engine, sign-in, and files that a run removes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, BrowserContext, Page, expect

from remediator.app import create_application
from remediator.context import Context
from remediator.ledger import switches
from remediator.ledger.address import ledger_at
from remediator.ledger.run_list import list_runs
from remediator.ledger.runs import Run
from remediator.server.bearer_tokens import BearerTokens
from runbookd.inventory import Inventory
from tests.unit.remediator.folder_remediation import UndoableFolderRemediation
from tests.unit.remediator.payloads import delivery
from tests.unit.remediator.polling import becomes
from tools.browser import chromium

PHONE = {"width": 360, "height": 740}
PASSWORD = "correct horse battery staple"
PATIENCE_MS = 30_000  # of a test on a busy machine
_WATCH_POLICY = """
window.violations = [];
addEventListener("securitypolicyviolation", (e) => window.violations.push(e.violatedDirective + " " + e.blockedURI));
"""


@dataclass
class ShiftedClock:
    """The machine's clock, which a test can move ahead."""

    shift: timedelta = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.shift


@cache
def password_hash(name: str) -> str:
    """Return a hash of PASSWORD; with another salt for each operator, as two with one hash are refused."""
    assert name
    return bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10)).decode()


def inventory(folder: Path, **remediation: Any) -> Inventory:
    operators = {}
    for name, role in (("oncall", "operator"), ("dba", "operator"), ("guest", "viewer")):
        (folder / name).write_text(password_hash(name))
        operators[name] = {"password_file": folder / name, "role": role}
    settings = {"mode": "approve", "settle": "0s", "verify_within": "1s", "cooldown": "0s", "max_runs_per_hour": 30}
    shop = {
        "zone": "Europe/Berlin",
        "runbook_url": "https://runbooks.example/shop",
        "postgres": {"main": {"dsn": "postgresql://db/shop"}, "spare": {"dsn": "postgresql://db/spare"}},
        "duties": {"restore_drill": {"every": "31d"}, "key_rotation": {"every": "90d", "priority": "P2"}},
        "remediations": {"clear_folder": {**settings, **remediation}},
    }
    billing = {"postgres": {"main": {"dsn": "postgresql://db/billing"}}}
    return Inventory.model_validate({"operators": operators, "stacks": {"shop": shop, "billing": billing}})


@dataclass
class Site:
    """The console at `url`, and what is behind it. Every page that it opens is watched for errors."""

    url: str
    context: Context
    files: UndoableFolderRemediation
    clock: ShiftedClock
    browser: Browser
    server: TestServer
    contexts: dict[str, BrowserContext] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    async def open(self, path: str = "/", operator: str = "oncall", **options: Any) -> Page:
        """Return a page of the operator's browser at `path`; `options` are those of a browser of its own."""
        name = f"{operator} {sorted(options.items(), key=str)}"
        if name not in self.contexts:
            self.contexts[name] = await self._sign_in(operator, **options)
        page = await self.contexts[name].new_page()
        page.on("pageerror", lambda error: self.problems.append(f"{path}: {error}"))
        page.on("console", lambda message: self._note(path, message))
        await page.goto(self.url + path)
        return page

    async def ask(self, *names: str) -> Run:
        """Let an alert ask for an approval to remove these files."""
        self.files.fill(*names)
        await self.deliver()
        await becomes(self.state, "awaiting_approval")
        return await self.last_run()

    async def deliver(self, **alert: Any) -> None:
        starts = alert.pop("starts", (self.clock.now() - timedelta(minutes=3)).isoformat())
        await self.context.ledger.accept(self.clock.now(), delivery(starts=starts, **alert))

    async def last_run(self) -> Run:
        async with self.context.ledger.read() as connection:
            return (await list_runs(connection, limit=1)).runs[0]

    async def state(self) -> str:
        async with self.context.ledger.read() as connection:
            runs = (await list_runs(connection, limit=1)).runs
        return str(runs[0].state) if runs else ""

    async def reaches(self, state: str) -> None:
        """Wait until the newest run is in `state`."""
        await becomes(self.state, state)

    async def pause(self) -> None:
        """Pause all stacks, as runbookctl does."""
        async with self.context.ledger.write() as connection:
            await switches.pause_now(connection, self.clock.now(), "dba", "looking", None, None)

    async def sign_in(self, context: BrowserContext, operator: str) -> None:
        """Give the browser a session of the operator, instead of the one it has."""
        await self._post(context, "/login", {"operator": operator, "password": PASSWORD})

    async def post(self, page: Page, path: str, form: dict[str, str]) -> None:
        """Send a form with the browser's session, as another tab would."""
        await self._post(page.context, path, form)

    async def stop(self) -> None:
        """Stop the application, as a signal does."""
        await self.server.close()

    async def _sign_in(self, operator: str, **options: Any) -> BrowserContext:
        context = await self.browser.new_context(**options)
        context.set_default_timeout(PATIENCE_MS)
        await context.add_init_script(_WATCH_POLICY)
        await self.sign_in(context, operator)
        return context

    async def _post(self, context: BrowserContext, path: str, form: dict[str, str]) -> None:
        origin = {"Origin": self.url, "Sec-Fetch-Site": "same-origin"}
        answer = await context.request.post(self.url + path, form=form, headers=origin, max_redirects=0)
        assert answer.status == 303, await answer.text()

    def _note(self, path: str, message: Any) -> None:
        # The browser reports each answer that is no 200 by itself; the tests look at these pages.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.problems.append(f"{path}: {message.text}")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    expect.set_options(timeout=PATIENCE_MS)
    async with chromium() as browser:
        yield browser


@asynccontextmanager
async def serve(folder: Path, browser: Browser, **remediation: Any) -> AsyncIterator[Site]:
    """Serve a console; at the end no page may have reported an error or a violation of the policy."""
    files, clock = UndoableFolderRemediation(folder / "files"), ShiftedClock()
    files.folder.mkdir()
    ledger = ledger_at(f"sqlite:///{folder}/ledger.db")
    remediations = {"clear_folder": files.remediation()}
    context = Context(inventory(folder, **remediation), ledger, clock, remediations, None, folder / "pause")
    async with TestServer(create_application(context, BearerTokens({}, ""))) as server:
        site = Site(f"http://127.0.0.1:{server.port}", context, files, clock, browser, server)
        try:
            yield site
            for each in site.contexts.values():
                for page in each.pages:
                    site.problems += await page.evaluate("window.violations || []")
        finally:
            for each in site.contexts.values():
                await each.close()
    assert site.problems == []


@pytest_asyncio.fixture(loop_scope="module")
async def site(tmp_path: Path, browser: Browser) -> AsyncIterator[Site]:
    async with serve(tmp_path, browser) as site:
        yield site


@pytest.fixture(autouse=True)
def frequent_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the ledger often, so that no test waits for a change."""
    monkeypatch.setattr("remediator.console.events.POLL_SECONDS", 0.1)
    monkeypatch.setattr("remediator.engine.engine.TICK_SECONDS", 0.1)
