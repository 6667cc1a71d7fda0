"""What stands in front of an application: TLS, users and headers of `--web.config.file`, read anew when it changes.

A file that has become unusable is told in the log, once, and what it said before holds: a typo must neither open the
service to everybody nor close it to its own Prometheus.
"""

import asyncio
import base64
import binascii
import hashlib
import ssl
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import bcrypt
import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from runbookd.inventory import InventoryError, Problem
from runbookd.service.web_config import WebConfig, read_web_config

OWN_CREDENTIALS: web.AppKey[tuple[str, ...]] = web.AppKey("own_credentials")
"""Paths (by how they begin) at which an application checks a credential of its own, in the same header."""
_ONLY_AT_START = "TLS itself, its versions and client_auth_type are changed by a restart only"
_NO_USERS = "all users are gone, as in a file that is half written; to open the service to everybody, restart it"
# bcrypt takes a tenth of a second on purpose; a Prometheus asks every few seconds with the same password.
_MAX_REMEMBERED = 100
# Guesses wait for each other, and not for long: they must not take the threads that everything else needs.
_MAX_WAITING = 20
# For a user that does not exist: the answer has to take as long as for one that does.
_DUMMY_HASH = bcrypt.hashpw(b"", bcrypt.gensalt(10))
Stamp = Sequence[tuple[int, int, int]]
log = structlog.get_logger(__name__)


class WebGuard:
    """Guards an application as `file` says.

    Raises:
        InventoryError: the file can not be used.
        OSError: a certificate or key can not be used.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.config = read_web_config(file)
        self._context = self._new_context(self.config)
        self._current_stamp = self._stamps(self.config)
        self._refused_stamp: Stamp | None = None
        self._authenticated: OrderedDict[bytes, None] = OrderedDict()
        """Those who were let in; a flood of guesses does not push them out."""
        self._checking, self._waiting = ThreadPoolExecutor(1, "passwords"), 0

    def install(self, app: web.Application) -> ssl.SSLContext | None:
        """Put the guard in front of `app`, and return the TLS for its listener, or None where there is none."""
        app.middlewares.insert(0, self._authenticate)
        app.on_response_prepare.append(self._add_headers)
        return self._context

    @web.middleware
    async def _authenticate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._read_if_changed()
        own = request.app.get(OWN_CREDENTIALS, ())
        if not self.config.hashes or request.path.startswith(own) or await self._is_user(request):
            return await handler(request)
        raise web.HTTPUnauthorized(text="Unauthorized\n", headers={hdrs.WWW_AUTHENTICATE: "Basic"})

    async def _add_headers(self, _: web.Request, response: web.StreamResponse) -> None:
        for name, value in self.config.http_server_config.headers.items():
            response.headers[name] = value

    async def _is_user(self, request: web.Request) -> bool:
        user, password = _credential(request.headers.get(hdrs.AUTHORIZATION, ""))
        expected = self.config.hashes.get(user)
        # The key tells nobody the password, and a changed hash is another key.
        key = hashlib.sha256(b"\0".join((user.encode(), expected or b"", password))).digest()
        if key not in self._authenticated and await self._matches(password, expected):
            self._authenticated[key] = None
            while len(self._authenticated) > _MAX_REMEMBERED:
                self._authenticated.popitem(last=False)
        return key in self._authenticated

    async def _matches(self, password: bytes, expected: bytes | None) -> bool:
        if self._waiting >= _MAX_WAITING:
            raise web.HTTPServiceUnavailable(text="too many passwords wait to be checked; try again\n")
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._checking, _matches, password, expected)
        finally:
            self._waiting -= 1

    def _new_context(self, config: WebConfig) -> ssl.SSLContext | None:
        if config.tls_server_config is None:
            return None
        context = config.tls_server_config.context(self._file.parent)
        # Asked at every handshake, whether the client names a server or not.
        context.sni_callback = self._choose_context
        return context

    def _choose_context(self, handshake: ssl.SSLObject, _: str | None, __: ssl.SSLContext) -> None:
        self._read_if_changed()
        if self._context is not None:
            handshake.context = self._context

    def _read_if_changed(self) -> None:
        stamp = self._stamps(self.config)
        if stamp in (self._current_stamp, self._refused_stamp):
            return
        try:
            config = read_web_config(self._file)
            self._check_change(config)
            context = self._new_context(config)
        except (InventoryError, OSError) as error:
            self._refused_stamp = stamp
            log.error("changed web configuration refused, the old one stays", reason=str(error))
            return
        self.config, self._context, self._refused_stamp = config, context, None
        # As it was before it was read: what was written since is then seen the next time.
        self._current_stamp = stamp
        log.info("web configuration read anew")

    def _check_change(self, config: WebConfig) -> None:
        """Refuse what a listener can not take over while it listens, and what looks like half of a file."""
        if _fixed_settings(config) != _fixed_settings(self.config):
            raise InventoryError([Problem(str(self._file), "tls_server_config", _ONLY_AT_START)])
        if self.config.hashes and not config.hashes:
            raise InventoryError([Problem(str(self._file), "basic_auth_users", _NO_USERS)])

    def _stamps(self, config: WebConfig) -> Stamp:
        """Changes when one of the files does."""
        tls = config.tls_server_config
        return [_stamp(file) for file in (self._file, *(tls.files(self._file.parent) if tls is not None else ()))]


def _fixed_settings(config: WebConfig) -> object:
    """What OpenSSL copies into a connection before it asks which context to use."""
    tls = config.tls_server_config
    return tls and (tls.client_auth_type, tls.min_version, tls.max_version)


def _stamp(file: Path) -> tuple[int, int, int]:
    try:
        stat = file.stat()
    except OSError:
        return 0, 0, 0
    return stat.st_mtime_ns, stat.st_ino, stat.st_size


def _credential(header: str) -> tuple[str, bytes]:
    """User and password of HTTP's basic authentication; two empty ones if there are none."""
    scheme, _, encoded = header.partition(" ")
    try:
        user, _, password = base64.b64decode(encoded, validate=True).partition(b":")
        return (user.decode(), password) if scheme.lower() == "basic" else ("", b"")
    except (binascii.Error, UnicodeDecodeError):
        return "", b""


def _matches(password: bytes, expected: bytes | None) -> bool:
    try:
        return bcrypt.checkpw(password, expected or _DUMMY_HASH) and expected is not None
    except ValueError:  # bcrypt knows no passwords beyond 72 bytes, and no zero bytes in them
        return False
