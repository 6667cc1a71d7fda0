"""Incidents in a ledger, made by the real engine, and the real application on a copy of it."""

import re
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any

import bcrypt
from aiohttp import ClientResponse, ClientSession, CookieJar
from aiohttp.test_utils import TestServer

from remediator.app import create_application
from remediator.clients.alertmanager import AlertmanagerReader
from remediator.context import Context
from remediator.engine.engine import Engine
from remediator.ledger import switches
from remediator.ledger.run_list import list_runs
from remediator.remediations import REMEDIATIONS
from remediator.server.bearer_tokens import BearerTokens
from runbookd.inventory import Inventory
from tests.ledgers import leading_in, ledger_in
from tests.unit.remediator.conftest import ManualClock
from tests.unit.remediator.folder_remediation import FolderRemediation
from tests.unit.remediator.payloads import delivery

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PASSWORD = "correct horse battery staple"
HOSTILE = "\u202eevil<script>alert(1)</script>\x00\u200b"
HOSTILE_TAG = "<img src=x onerror=alert(1)>"
ODD_STACK = "$(reboot); x"  # of an alert; the inventory does not have it
FREEZE = {"from": "2026-02-01T00:00:00Z", "to": "2026-04-01T00:00:00Z", "reason": "year end"}


def _stack(mode: str, **more: Any) -> dict[str, Any]:
    settings = {"mode": mode, "settle": "0s", "verify_within": "0s", "cooldown": "10m"}
    return {
        "postgres": {name: {"dsn": f"postgresql://db/{name}"} for name in ("main", "spare", "third")},
        "remediations": {"clear_folder": settings},
        **more,
    }


def inventory(folder: Path) -> Inventory:
    window = {"days": ["sun", "wed"], "from": "02:00", "to": "04:00", "zone": "Europe/Berlin"}
    shop = {
        "zone": "America/New_York",
        "runbook_url": "https://runbooks.example/shop",
        "dashboard_url": "javascript:alert(1)",
        "duties": {"restore_drill": {"every": "31d"}},
        "windows": {"maintenance": window},
    }
    stacks = {
        "shop": _stack("auto", **shop),
        "billing": _stack("approve", windows={"maintenance": window}),
        "search": _stack("shadow"),
        "frozen": _stack("auto", freezes={"xmas": FREEZE}),
    }
    people = {}
    for name, role in (("oncall", "operator"), ("reader", "viewer")):
        (folder / name).write_text(_hash_for(name))
        people[name] = {"password_file": folder / name, "role": role}
    return Inventory.model_validate({"operators": people, "stacks": stacks, "limits": {"storm": {"targets": 50}}})


@cache
def _hash_for(name: str) -> str:
    """Return a hash of PASSWORD, with a salt of its own for each operator."""
    assert name
    return bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10)).decode()


@dataclass(frozen=True)
class Seed:
    """The folder of a ledger, its runs by the word of what happened to them, and the time at which it ends."""

    folder: Path
    runs: Mapping[str, int]
    at: datetime


@dataclass
class _Scene:
    context: Context
    engine: Engine
    files: FolderRemediation
    clock: ManualClock

    async def alert(self, files: int = 0, **alert: Any) -> int:
        """Let an alert fire while `files` files lie around; return the run that answers it."""
        for name in self.files.names():
            (self.files.folder / name).unlink()
        self.files.fill(*(f"file-{number}" for number in range(files)))
        alert.setdefault("fingerprint", f"{sorted(alert.items())}"[:60])
        alert.setdefault("starts", f"{self.clock.now() - timedelta(minutes=3):%Y-%m-%dT%H:%M:%SZ}")
        await self.context.ledger.accept(self.clock.now(), delivery(**alert))
        await self.work()
        async with self.context.ledger.read() as connection:
            return (await list_runs(connection, limit=1)).runs[0].id

    async def work(self) -> None:
        for _ in range(3):
            self.clock.advance(milliseconds=10)
            await self.engine.tick()
            await self.engine.wait_for_runs()


async def seed(folder: Path) -> Seed:
    """Write the ledger."""
    files, clock = FolderRemediation(folder / "files"), ManualClock(START)
    files.folder.mkdir(parents=True)
    async with leading_in(folder) as ledger:
        context = Context(inventory(folder), ledger, clock, _remediations(files), None)
        scene, runs = _Scene(context, Engine(context), files, clock), {}
        runs["succeeded"] = await scene.alert(3, priority="P1")
        clock.advance(minutes=2)
        runs["refused"] = await scene.alert(9, priority="P0", target="spare", alertname=HOSTILE)
        runs["awaiting"] = await scene.alert(4, stack="billing", priority="P2")
        runs["shadow"] = await scene.alert(2, stack="search", priority="P3")
        runs["frozen"] = await scene.alert(2, stack="frozen", priority="P2")
        files.refill = True
        runs["ineffective"] = await scene.alert(1, target="third", severity="critical")
        files.refill = False
        runs["unknown"] = await scene.alert(1, stack=ODD_STACK, target=HOSTILE_TAG, summary="x" * 900)
        clock.advance(minutes=30)
    return Seed(folder, runs, clock.now())


def _remediations(files: FolderRemediation) -> Mapping[str, Any]:
    return {**REMEDIATIONS, "clear_folder": files.remediation()}


@dataclass
class Visit:
    """A browser without JavaScript on the real application."""

    session: ClientSession
    context: Context
    clock: ManualClock
    runs: Mapping[str, int]

    @property
    def pause_file(self) -> Path:
        assert self.context.pause_file is not None
        return self.context.pause_file

    @asynccontextmanager
    async def another(self, operator: str) -> AsyncIterator["Visit"]:
        """Yield a browser of another operator on the same application."""
        async with _browser(self.session._base_url) as session:
            visitor = Visit(session, self.context, self.clock, self.runs)
            await visitor.sign_in(operator)
            yield visitor

    async def sign_in(self, operator: str = "oncall") -> None:
        form = {"operator": operator, "password": PASSWORD, "next": "/"}
        assert (await self.session.post("/login", data=form, allow_redirects=False)).status == 303

    async def get(self, path: str) -> ClientResponse:
        return await self.session.get(path, allow_redirects=False)

    async def page(self, path: str, status: int = 200) -> str:
        """Return the markup of a page."""
        answer = await self.get(path)
        text = await answer.text()
        assert answer.status == status, text
        return text

    async def words(self, path: str, status: int = 200) -> str:
        """Return the text of a page as a person reads it."""
        return words_of(await self.page(path, status))

    async def post(self, path: str, **form: str) -> ClientResponse:
        csrf = re.search(r'name="csrf" value="(\w+)"', await self.page("/"))
        fields = {"csrf": csrf[1] if csrf else "", **{name.removesuffix("_"): value for name, value in form.items()}}
        return await self.session.post(path, data=fields, allow_redirects=False)

    async def pauses(self) -> list[switches.ActivePause]:
        async with self.context.ledger.read() as connection:
            return list(await switches.active_pauses(connection, self.clock.now()))


def words_of(markup: str) -> str:
    """Return the text of markup, in one line."""
    body = re.sub(r"<(script|style|svg)\b.*?</\1>", "", markup, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split())


@asynccontextmanager
async def visit(seeded: Seed, folder: Path, *, alertmanager: AlertmanagerReader | None = None) -> AsyncIterator[Visit]:
    """Serve the application on a copy of the seeded ledger to a signed-in operator."""
    if folder != seeded.folder:
        shutil.copytree(seeded.folder, folder, dirs_exist_ok=True)
    clock, files = ManualClock(seeded.at), FolderRemediation(folder / "files")
    ledger = ledger_in(folder)
    context = Context(inventory(folder), ledger, clock, _remediations(files), alertmanager, folder / "stop.file")
    app = create_application(context, BearerTokens({}, ""))
    async with TestServer(app) as server, _browser(server.make_url("/")) as session:
        visitor = Visit(session, context, clock, seeded.runs)
        await visitor.sign_in()
        yield visitor


def _browser(url: Any) -> ClientSession:
    return ClientSession(url, cookie_jar=CookieJar(unsafe=True))  # which keeps cookies of an address without a name
