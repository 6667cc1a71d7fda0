"""Guards an application with the TLS, users and headers of `--web.config.file`.

An invalid new file is logged once, and the previous configuration stays: a typo must neither open the service to
everyone nor lock out its own Prometheus.
"""

import base64
import binascii
import hashlib
import ssl
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from runbookd.inventory import InventoryError, Problem
from runbookd.service.password_checks import PasswordChecks, TooManyChecks
from runbookd.service.web_config import WebConfig, read_web_config

OWN_CREDENTIALS: web.AppKey[tuple[str, ...]] = web.AppKey("own_credentials")
"""The paths whose credentials the application checks itself; one that ends in a slash stands for all below it."""
_ONLY_AT_START = "restart to turn TLS on or off, or to change its versions or client_auth_type"
_NO_USERS = "the new file defines no users and may be half written; restart to turn authentication off"
# A bcrypt check takes a tenth of a second; Prometheus sends the same password every few seconds.
_MAX_REMEMBERED = 100
Stamp = Sequence[tuple[int, int, int]]
log = structlog.get_logger(__name__)


class WebGuard:
    """Guards an application with the settings in `file`.

    Raises:
        InventoryError: the file is invalid.
        OSError: a certificate or key is unusable.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.config = read_web_config(file)
        self._context = self._new_context(self.config)
        self._current_stamp = self._stamps(self.config)
        self._refused_stamp: Stamp | None = None
        self._authenticated: OrderedDict[bytes, None] = OrderedDict()
        """Hashes of the accepted credentials; a flood of guesses does not evict them."""
        self._checks = PasswordChecks()

    def install(self, app: web.Application) -> ssl.SSLContext | None:
        """Install the guard in `app`; return the listener's TLS context, or None without TLS."""
        app.middlewares.insert(0, self._authenticate)
        app.on_response_prepare.append(self._add_headers)
        return self._context

    @web.middleware
    async def _authenticate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._read_if_changed()
        if not self.config.hashes or _has_own_credentials(request) or await self._is_user(request):
            return await handler(request)
        raise web.HTTPUnauthorized(text="Unauthorized\n", headers={hdrs.WWW_AUTHENTICATE: "Basic"})

    async def _add_headers(self, _: web.Request, response: web.StreamResponse) -> None:
        for name, value in self.config.http_server_config.headers.items():
            response.headers[name] = value

    async def _is_user(self, request: web.Request) -> bool:
        user, password = _credential(request.headers.get(hdrs.AUTHORIZATION, ""))
        expected = self.config.hashes.get(user)
        # The key does not reveal the password, and changes with the hash.
        key = hashlib.sha256(b"\0".join((user.encode(), expected or b"", password))).digest()
        if key not in self._authenticated and await self._matches(password, expected):
            self._authenticated[key] = None
            while len(self._authenticated) > _MAX_REMEMBERED:
                self._authenticated.popitem(last=False)
        return key in self._authenticated

    async def _matches(self, password: bytes, expected: bytes | None) -> bool:
        try:
            return await self._checks.matches(password, expected, self.config.hashes.values())
        except TooManyChecks as error:
            raise web.HTTPServiceUnavailable(text=f"{error}\n") from None

    def _new_context(self, config: WebConfig) -> ssl.SSLContext | None:
        if config.tls_server_config is None:
            return None
        context = config.tls_server_config.context(self._file.parent)
        # OpenSSL calls it at every handshake, even if the client names no server.
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
            log.error("invalid web configuration ignored, keeping the previous one", reason=str(error))
            return
        self.config, self._context, self._refused_stamp = config, context, None
        # The stamp from before the read: a later write is then detected next time.
        self._current_stamp = stamp
        log.info("web configuration reloaded")

    def _check_change(self, config: WebConfig) -> None:
        """Refuse a change that an open listener cannot apply, and a file that looks half written."""
        if _fixed_settings(config) != _fixed_settings(self.config):
            raise InventoryError([Problem(str(self._file), "tls_server_config", _ONLY_AT_START)])
        if self.config.hashes and not config.hashes:
            raise InventoryError([Problem(str(self._file), "basic_auth_users", _NO_USERS)])

    def _stamps(self, config: WebConfig) -> Stamp:
        """Return a stamp that changes when one of the files does."""
        tls = config.tls_server_config
        return [_stamp(file) for file in (self._file, *(tls.files(self._file.parent) if tls is not None else ()))]


def _has_own_credentials(request: web.Request) -> bool:
    paths = request.app.get(OWN_CREDENTIALS, ())
    return request.path in paths or request.path.startswith(tuple(path for path in paths if path[1:].endswith("/")))


def _fixed_settings(config: WebConfig) -> object:
    """Return the settings that OpenSSL copies into a connection before `sni_callback`."""
    tls = config.tls_server_config
    return tls and (tls.client_auth_type, tls.min_version, tls.max_version)


def _stamp(file: Path) -> tuple[int, int, int]:
    try:
        stat = file.stat()
    except OSError:
        return 0, 0, 0
    return stat.st_mtime_ns, stat.st_ino, stat.st_size


def _credential(header: str) -> tuple[str, bytes]:
    """Return user and password of HTTP basic authentication; both empty if there are none."""
    scheme, _, encoded = header.partition(" ")
    try:
        user, _, password = base64.b64decode(encoded, validate=True).partition(b":")
        return (user.decode(), password) if scheme.lower() == "basic" else ("", b"")
    except (binascii.Error, UnicodeDecodeError):
        return "", b""
