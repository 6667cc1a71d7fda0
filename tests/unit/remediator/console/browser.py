"""A browser on a console of its own: real HTTP, a real ledger, a clock that the test sets."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import text

from remediator.console.sign_in.routes import add_sign_in_routes
from remediator.console.visitor import ConsoleGuard, ConsoleHandler, Visitor
from remediator.context import Context
from runbookd.inventory import Inventory, Role, password_files
from tests.ledgers import ledger_in
from tests.unit.remediator.conftest import ManualClock

PASSWORD = "correct horse battery staple"


def hash_of(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


def operators(folder: Path, **roles: str) -> dict[str, Any]:
    """Return operators with the password PASSWORD, each by its role."""
    for name in roles:
        (folder / f"{name}.password").write_text(hash_of(PASSWORD) + "\n")
    return {name: {"password_file": str(folder / f"{name}.password"), "role": role} for name, role in roles.items()}


@dataclass
class Browser:
    """A client that keeps cookies, on the probe pages `/probe` (GET, any role; POST, operator)."""

    client: TestClient[Any, web.Application]
    context: Context
    clock: ManualClock

    async def sign_in(self, operator: str = "oncall", password: str = PASSWORD, **request: Any) -> ClientResponse:
        form = {"operator": operator, "password": password, "next": "/probe"}
        return await self.client.post("/login", data=form, allow_redirects=False, **request)

    async def get(self, path: str = "/probe", **request: Any) -> ClientResponse:
        return await self.client.get(path, allow_redirects=False, **request)

    async def post(self, path: str = "/probe", form: Mapping[str, str] | None = None, **request: Any) -> ClientResponse:
        """Send a form as a page of the console does: with the session's field."""
        fields = {"csrf": await self.csrf(), **(form or {})}
        return await self.client.post(path, data=fields, allow_redirects=False, **request)

    async def csrf(self, **request: Any) -> str:
        """Return the field that the pages of this session carry."""
        found = re.search(r"csrf=(\w+)", await (await self.get(**request)).text())
        return found[1] if found else "none"

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        async with self.context.ledger.read() as connection:
            return [tuple(row) for row in await connection.execute(text(query))]

    async def forget_cookies(self) -> None:
        self.client.session.cookie_jar.clear()


@asynccontextmanager
async def console(
    folder: Path, *, is_public: bool = False, inventory: Mapping[str, Any] | None = None
) -> AsyncIterator[Browser]:
    """Serve the sign-in and the probe pages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(password_files, "MIN_COST", 4)  # a check takes a millisecond
        async with _serve(folder, is_public, inventory or {}) as browser:
            yield browser


@asynccontextmanager
async def _serve(folder: Path, is_public: bool, inventory: Mapping[str, Any]) -> AsyncIterator[Browser]:
    document = {"operators": operators(folder, oncall="operator", reader="viewer"), **inventory}
    clock = ManualClock()
    async with ledger_in(folder).open() as ledger:
        context = Context(Inventory.model_validate(document), ledger, clock, {}, None, folder / "pause")
        app = web.Application()
        guard = add_sign_in_routes(app, context, is_public=is_public)
        app.router.add_get("/probe", guard(_show))
        app.router.add_post("/probe", guard(_act, Role.OPERATOR))
        app.router.add_get("/stream", guard(_stream_while(guard)))
        async with TestClient(TestServer(app)) as client:
            yield Browser(client, context, clock)


def _stream_while(guard: ConsoleGuard) -> ConsoleHandler:
    """Return a handler that writes a line as long as its visitor is signed in."""

    async def stream(request: web.Request, visitor: Visitor) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while await guard.is_current(request, visitor):
            await response.write(b"current\n")
            await asyncio.sleep(0.02)
        await response.write(b"over\n")
        return response

    return stream


async def _show(_: web.Request, visitor: Visitor) -> web.Response:
    return web.Response(text=f"operator={visitor.operator} role={visitor.role} csrf={visitor.csrf}")


async def _act(request: web.Request, visitor: Visitor) -> web.Response:
    return web.Response(text=f"{visitor.operator} did {(await request.post()).get('what', 'it')}")
