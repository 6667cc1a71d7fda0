"""The guard of the console's pages: each request is let in as an operator, or answered with a sentence."""

import asyncio
import hashlib
import hmac
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from urllib.parse import quote, urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from remediator.console.paths import LOGIN
from remediator.console.sign_in.client import Client, is_same_origin, read_client
from remediator.console.sign_in.cookie import read_token
from remediator.console.sign_in.credentials import end_reason
from remediator.console.sign_in.form import UnusableForm, read_form
from remediator.console.sign_in.pages import lost_form_page, refusal_page
from remediator.console.visitor import ConsoleHandler, Visitor
from remediator.context import Context
from remediator.ledger import console_key, console_sessions
from remediator.ledger.console_sessions import Session
from remediator.model.errors import LedgerUnavailable, OperatorRemoved, RoleTooLow
from runbookd.inventory import Role

SEEN_EVERY = timedelta(minutes=1)
_TOUCH_SECONDS = 1.0
_READING = (hdrs.METH_GET, hdrs.METH_HEAD)
CLOSED = (
    "This console is closed: other machines reach this address, and without TLS everyone on the way could read a"
    " password.",
    "Open it in one of three ways: give the remediator a certificate (--web.config.file), put it behind a proxy with"
    " TLS and name that in console.trusted_proxies, or accept the risk with console: {plain_http: true}.",
    "The webhook, the API and the metrics are not affected.",
)


class Refused(Exception):
    """The request is not let in; `page` says why."""

    def __init__(self, page: web.Response) -> None:
        super().__init__(page.status)
        self.page = page


class Doorway:
    """Reads who sends a request. See ConsoleGuard for the order of the checks."""

    def __init__(self, context: Context, *, is_public: bool) -> None:
        """Take whether other machines reach the listener."""
        self._context = context
        self._is_public = is_public
        self._key: str | None = None

    def __call__(self, handler: ConsoleHandler, least: Role = Role.VIEWER) -> Handler:
        """Return `handler` behind the checks; see ConsoleGuard."""

        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                return await handler(request, await self._let_in(request, least))
            except Refused as refused:
                return refused.page
            except LedgerUnavailable as error:
                return self.ledger_page(error)
            except OperatorRemoved as error:
                return refusal_page("Signed out", [f"{error}"], 401)
            except RoleTooLow as error:
                return refusal_page("Not allowed", [f"{error}; ask an operator.", "Nothing was done."], 403)

        return handle

    async def is_current(self, request: web.Request, visitor: Visitor) -> bool:
        """Return whether `visitor` is still signed in; see ConsoleGuard."""
        try:
            found = await self._find(request, self.client_of(request), is_use=False)
        except (Refused, LedgerUnavailable):
            return False
        return found == visitor

    def client_of(self, request: web.Request) -> Client:
        """Return the client of a request.

        Raises:
            Refused: the console is closed to it.
        """
        console = self._context.inventory.console
        client = read_client(request, console)
        if self._is_public and not (client.is_secure or client.is_proxied or console.plain_http):
            raise Refused(refusal_page("The console is closed", CLOSED, 403))
        return client

    async def form_of(self, request: web.Request, client: Client) -> Mapping[str, str]:
        """Return the form of a request from a page of this console.

        Raises:
            Refused: another site sent it, or it is no form.
        """
        if not is_same_origin(request, client):
            sentence = "Another site sent this form, so nothing was done. Open the page in the console and try again."
            raise Refused(refusal_page("Not from this console", [sentence], 403))
        try:
            return await read_form(request)
        except UnusableForm as error:
            raise Refused(refusal_page("Unusable form", [str(error), "Nothing was done."], error.status)) from None

    async def session_of(self, request: web.Request, client: Client, *, is_use: bool = True) -> Session | None:
        """Return the session of the request's cookie if it still holds, and record that it is in use.

        An open stream of events is no use: a page that nobody looks at must not keep its operator signed in.
        """
        token = read_token(request, is_secure=client.is_secure)
        if token is None:
            return None
        async with self._context.ledger.read() as connection:
            session = await console_sessions.find(connection, token)
        now = self._context.clock.now()
        if session is None:
            return None
        reason = end_reason(self._context.inventory, session, now)
        if reason is not None or (is_use and now - session.seen_at >= SEEN_EVERY):
            await self._record_use(session, reason)
        return session if reason is None else None

    def ledger_page(self, error: LedgerUnavailable) -> web.Response:
        """Return the page for a ledger that is out, with the kill switch that needs none."""
        sentences = [f"The ledger cannot be read or written: {error}.", "Nothing was done."]
        if self._context.pause_file is not None:
            sentences.append(f"To stop everything, create the pause file on that machine: {self._context.pause_file}")
        return refusal_page("The ledger is out", sentences, 503, {hdrs.RETRY_AFTER: "5"})

    async def _let_in(self, request: web.Request, least: Role) -> Visitor:
        client = self.client_of(request)
        is_reading = request.method in _READING
        form = {} if is_reading else await self.form_of(request, client)
        visitor = await self._find(request, client)
        if visitor is None:
            raise Refused(_sign_in_first(request, form))
        if not is_reading and not hmac.compare_digest(form.get("csrf", "").encode(), visitor.csrf.encode()):
            sentence = "This page is older than your session, so nothing was done. Load the page again and repeat it."
            link = (_page_before(request), "Load it again")
            raise Refused(lost_form_page("A stale page", sentence, 403, form, link))
        self._context.require_operator(visitor.operator, least)
        return visitor

    async def _find(self, request: web.Request, client: Client, *, is_use: bool = True) -> Visitor | None:
        header = self._context.inventory.console.proxy_header
        if client.is_proxied and header is not None:
            return await self._named_by_proxy(request, header)
        session = await self.session_of(request, client, is_use=is_use)
        if session is None:
            return None
        token = read_token(request, is_secure=client.is_secure) or ""
        role = self._context.inventory.operators[session.operator].role
        return Visitor(session.operator, role, _csrf(token, session.operator), session.id)

    async def _named_by_proxy(self, request: web.Request, header: str) -> Visitor:
        names = request.headers.getall(header, [])
        operator = self._context.inventory.operators.get(names[0].strip()) if len(names) == 1 else None
        if operator is None:
            cause = f"{len(names)} times" if len(names) != 1 else "with a name that the inventory has no operator for"
            sentence = f"The proxy sent the header {header} {cause}; it must send it once, with an operator's name."
            raise Refused(refusal_page("Not an operator", [sentence], 403))
        name = names[0].strip()
        return Visitor(name, operator.role, _csrf(await self._form_key(), name), None)

    async def _form_key(self) -> str:
        if self._key is None:
            async with self._context.ledger.write() as connection:
                self._key = await console_key.read_or_create(connection)
        return self._key

    async def _record_use(self, session: Session, end: str | None) -> None:
        """Record the use or the end of a session; a page does not fail for it."""
        with suppress(LedgerUnavailable, TimeoutError):
            async with asyncio.timeout(_TOUCH_SECONDS), self._context.ledger.write() as connection:
                now = self._context.clock.now()
                if end is None:
                    await console_sessions.touch(connection, session.id, now)
                else:
                    await console_sessions.end(connection, session, now, "remediator", end)


def _sign_in_first(request: web.Request, form: Mapping[str, str]) -> web.Response:
    """Return the way to the sign-in; a script or a form gets a sentence, as it could not use the form."""
    is_navigation = request.headers.get("Sec-Fetch-Mode", "navigate") == "navigate"
    is_page = request.method in _READING and is_navigation and "fragment" not in request.headers.get(hdrs.ACCEPT, "")
    if is_page and "event-stream" not in request.headers.get(hdrs.ACCEPT, ""):
        location = LOGIN if request.path_qs == "/" else f"{LOGIN}?next={quote(request.path_qs, safe='/')}"
        return refusal_page("Sign in", ["Sign in first."], 303, {hdrs.LOCATION: location})
    sentence = "You are signed out, so nothing was done. Sign in again, then repeat it."
    link = (f"{LOGIN}?next={quote(_page_before(request), safe='/')}", "Sign in again")
    return lost_form_page("Signed out", sentence, 401, form, link)


def _page_before(request: web.Request) -> str:
    """Return the path of the page that has sent the form; the checks of its origin come before this."""
    before = urlsplit(request.headers.get(hdrs.REFERER, ""))
    path = before.path if before.netloc == request.host else ""
    return f"{path}?{before.query}" if path and before.query else path or "/"


def _csrf(secret: str, operator: str) -> str:
    return hmac.new(secret.encode(), b"form\0" + operator.encode(), hashlib.sha256).hexdigest()
