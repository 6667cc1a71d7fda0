"""`/login` and `/logout`. A sign-in costs a counted attempt, whose count a right password takes back."""

import hmac
import math
from datetime import timedelta
from urllib.parse import urlsplit

import structlog
from aiohttp import hdrs, web
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.console.paths import LOGIN, LOGOUT
from remediator.console.sign_in.client import Client
from remediator.console.sign_in.cookie import clear_token, new_token, set_token
from remediator.console.sign_in.credentials import is_password, password_hash, stamp_of
from remediator.console.sign_in.delays import waiting_time
from remediator.console.sign_in.guard import Doorway, Refused
from remediator.console.sign_in.pages import login_page, refusal_page
from remediator.console.visitor import ConsoleGuard, Visitor
from remediator.context import Context
from remediator.ledger import console_sessions, sign_in_failures
from remediator.ledger.console_sessions import Browser
from remediator.model.errors import LedgerUnavailable
from runbookd.service.password_checks import PasswordChecks, TooManyChecks

MAX_NEXT = 2_000  # characters of the page that a sign-in leads to
MAX_USER_AGENT = 300
WRONG = "Operator or password is wrong."
NO_PASSWORDS = (
    "No operator has a password, so nobody can sign in. Run `runbookctl password > FILE`, add password_file: FILE to an"
    " operator of the inventory, and reload. Or set console.proxy_header."
)
log = structlog.get_logger(__name__)


def add_sign_in_routes(app: web.Application, context: Context, *, is_public: bool) -> ConsoleGuard:
    """Add the routes of the sign-in; return the guard for the other pages."""
    doorway = Doorway(context, is_public=is_public)
    sign_in = SignIn(context, doorway)
    app.router.add_get(LOGIN, sign_in.get_login)
    app.router.add_post(LOGIN, sign_in.post_login)
    app.router.add_post(LOGOUT, doorway(sign_in.post_logout))
    return doorway


class SignIn:
    """The handlers."""

    def __init__(self, context: Context, doorway: Doorway) -> None:
        self._context = context
        self._doorway = doorway
        self._checks = {is_known: PasswordChecks() for is_known in (True, False)}  # a flood delays only strangers

    async def get_login(self, request: web.Request) -> web.Response:
        """Show the form."""
        try:
            client = self._doorway.client_of(request)
        except Refused as refused:
            return refused.page
        next_path = safe_path(request.query.get("next", ""))
        if self._is_named_by_proxy(client):
            return _redirect(next_path)
        operators = self._context.inventory.operators
        has_passwords = any(each.password_file is not None for each in operators.values())
        return login_page(next_path, problem="" if has_passwords else NO_PASSWORDS)

    async def post_login(self, request: web.Request) -> web.Response:
        """Check the password and begin a session."""
        try:
            client = self._doorway.client_of(request)
            form = await self._doorway.form_of(request, client)
            next_path = safe_path(form.get("next", ""))
            if self._is_named_by_proxy(client):
                return _redirect(next_path)
            return await self._sign_in(
                request, client, form.get("operator", "").strip(), form.get("password", ""), next_path
            )
        except Refused as refused:
            return refused.page
        except LedgerUnavailable as error:
            return self._doorway.ledger_page(error)

    async def post_logout(self, request: web.Request, visitor: Visitor) -> web.Response:
        """End the session; a visitor whom a proxy names signs out there."""
        client = self._doorway.client_of(request)
        if visitor.session is None:
            return refusal_page("Signed in by the proxy", ["The proxy signs you in; sign out there."], 409)
        session = await self._doorway.session_of(request, client)
        if session is not None:
            async with self._context.ledger.write() as connection:
                now = self._context.clock.now()
                await console_sessions.end(connection, session, now, session.operator, "signed out")
            log.info("signed out", operator=session.operator)
        response = _redirect(LOGIN)
        clear_token(response, is_secure=client.is_secure)
        return response

    def _is_named_by_proxy(self, client: Client) -> bool:
        return client.is_proxied and self._context.inventory.console.proxy_header is not None

    async def _sign_in(
        self, request: web.Request, client: Client, name: str, password: str, next_path: str
    ) -> web.Response:
        try:
            wait, is_known = await self._count_attempt(client, name)
            if wait:
                return _wait_page(next_path, wait)
            expected = await is_password(self._checks[is_known], self._context.inventory, name, password)
        except TooManyChecks as error:
            return login_page(next_path, problem=f"{error}.".capitalize(), status=503)
        token = new_token()
        if expected is None or not await self._begin(request, client, name, expected, token):
            log.warning("sign-in failed", address=str(client.address), operator=self._known(name))
            return login_page(next_path, problem=WRONG, status=401)
        log.info("signed in", operator=name, address=str(client.address))
        response = _redirect(next_path)
        set_token(response, token, is_secure=client.is_secure)
        return response

    async def _count_attempt(self, client: Client, name: str) -> tuple[timedelta, bool]:
        """Count an attempt, or return the time until the next one is allowed; and whether the address is known.

        A guesser who has to wait writes nothing: deliveries need the ledger.
        """
        async with self._context.ledger.read() as connection:
            wait, is_known, is_ahead = await self._waiting_time(connection, client.network, name)
        if wait and not is_ahead:
            return wait, is_known
        if self._checks[is_known].is_full:
            raise TooManyChecks
        async with self._context.ledger.write() as connection:
            now = self._context.clock.now()
            await sign_in_failures.settle_clock(connection, now, client.network)
            wait, is_known, _ = await self._waiting_time(connection, client.network, name)
            if not wait:
                await sign_in_failures.count(connection, now, client.network, name)
            return wait, is_known

    async def _waiting_time(self, connection: AsyncConnection, address: str, name: str) -> tuple[timedelta, bool, bool]:
        """Return the time to wait, whether the address is known, and whether a failure is in the future."""
        now = self._context.clock.now()
        failures = await sign_in_failures.read(connection, now, address, name)
        is_known = await console_sessions.is_known_address(connection, address, now)
        is_ahead = any(each.last_at is not None and each.last_at > now for each in failures)
        return waiting_time(*failures, now, is_known=is_known), is_known, is_ahead

    async def _begin(self, request: web.Request, client: Client, name: str, expected: bytes, token: str) -> bool:
        """Begin the session, unless the operator's password changed while it was checked."""
        former = await self._doorway.session_of(request, client)
        async with self._context.ledger.write() as connection:
            operator = self._context.inventory.operators.get(name)
            current = password_hash(self._context.inventory, name)
            if operator is None or current is None or not hmac.compare_digest(current, expected):
                return False
            now = self._context.clock.now()
            browser = Browser(client.network, request.headers.get(hdrs.USER_AGENT, "")[:MAX_USER_AGENT])
            if former is not None:
                await console_sessions.end(connection, former, now, name, "replaced by a new sign-in")
            stamp = stamp_of(expected)
            await console_sessions.begin(connection, now, name, operator.role, stamp, token, browser)
            await sign_in_failures.forgive(connection, client.network, name)
            return True

    def _known(self, name: str) -> str:
        """Return the name if it is an operator's; anything else may be a password in the wrong field."""
        return name if name in self._context.inventory.operators else "unknown"


def safe_path(text: str) -> str:
    """Return the page to which a sign-in leads: `text` if it is a path of this console, else the first page."""
    is_path = text.startswith("/") and len(text) <= MAX_NEXT and text.isprintable() and "\\" not in text
    if not is_path or text.startswith("//") or urlsplit(text).netloc:
        return "/"
    return "/" if urlsplit(text).path in (LOGIN, LOGOUT) else text


def _redirect(location: str) -> web.Response:
    return refusal_page("Signed in", ["Go on to the page."], 303, {hdrs.LOCATION: location})


def _wait_page(next_path: str, wait: timedelta) -> web.Response:
    seconds = math.ceil(wait.total_seconds())
    problem = f"Too many sign-ins have failed. Try again in {seconds} seconds; a right password does not help before."
    response = login_page(next_path, problem=problem, status=429)
    response.headers[hdrs.RETRY_AFTER] = str(seconds)
    return response
